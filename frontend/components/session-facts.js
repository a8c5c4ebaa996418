// The row of a session as facts.
import { name, t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { NOTHING, duration, number, secondsBetween } from "../lib/format.js";
import { address } from "../lib/router.js";
import { STAGES, eventAddress } from "../lib/stages.js";
import { badge, stageText, stateBadge } from "./badges.js";
import { fact, facts } from "./facts.js";
import { idLink, ticketLink } from "./links.js";
import { exactTime, timeWithAge } from "./time.js";

/** What is known about a session, its links included; `set` says which event set each field, where that is known. */
export function sessionFacts(session, set = {}) {
  return facts(
    fact("session.state", [stateBadge(session), session.stale ? badge("late", t("session.stale")) : null]),
    fact("session.stage", stageText(session), setBy(set.current_stage)),
    fact("session.infra", session.infra_status === null ? NOTHING : name("infra", session.infra_status),
      setBy(set.infra_status)),
    fact("filter.domain", session.domain === null ? NOTHING : h("bdi", {}, session.domain), setBy(set.domain)),
    fact("session.source", h("bdi", {}, session.source), setBy(set.source)),
    fact("session.began", timeWithAge(session.first_event_at), setBy(set.first_event_at)),
    fact("session.last", timeWithAge(session.last_event_at), setBy(set.last_event_at)),
    fact("nav.events", h("a", { href: address("/events", { session_id: session.session_id }) },
      number(session.event_count))),
    fact("ticket.one", ticketLink(session)),
    fact("session.id", idLink(session)));
}

/** When each stage was first reached, and how long after the one before. */
export function stageTimes(session, set = {}) {
  let previous = null;
  return h("ol", { class: "steps", "aria-label": t("session.reached") }, STAGES.map((stage) => {
    const at = session.reached[stage] ?? null;
    const since = at !== null && previous !== null ? secondsBetween(previous, at) : null;
    previous = at ?? previous;
    return stageTime(stage, at, since, setBy(set[`reached_${stage}`]));
  }));
}

function stageTime(stage, at, since, by) {
  return h("li", { class: at === null ? "step step-missing" : "step", "data-key": stage },
    h("span", { class: "step-name" }, t(`stage.${stage}`)),
    h("span", {}, at === null ? t("session.not-reached") : [exactTime(at), by]),
    h("span", { class: "muted" }, since === null || since < 0 ? "" : `+ ${duration(since)}`));
}

function setBy(event) {
  if (!event) return null;
  return [" ", h("a", { class: "set-by", href: eventAddress(event.position),
    "aria-label": t("session.set-by", { event: `#${event.position} ${event.event_type}` }) }, `#${event.position}`)];
}
