// Small labels for stages, states and effects: a shape and a word, never a colour alone.
import { name, t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { stateOf } from "../lib/stages.js";

/** The state of a session. */
export function stateBadge(session) {
  const state = stateOf(session);
  if (state === null) return badge("none", t("state.none"));
  return badge(state, t(`state.${state}`));
}

/** The stage a session stands at; for a failed one, the furthest it came to. */
export function stageText(session) {
  if (session.current_stage === null) return t("stage.none");
  if (session.current_stage !== "failed") return name("stage", session.current_stage);
  return t("stage.failed-after", { stage: name("stage", session.furthest_stage ?? "started") });
}

/** The status of a ticket. */
export function statusBadge(status) {
  return badge(`status-${status}`, name("status", status));
}

/** What an event did to its session. */
export function effectBadge(effect) {
  return badge(`effect-${effect}`, name("effect", effect));
}

/** A ticket's tags. */
export function tagList(tags) {
  if (tags.length === 0) return null;
  return h("ul", { class: "tags", "aria-label": t("ticket.tags") },
    tags.map((tag) => h("li", { "data-key": tag, title: tag }, h("bdi", {}, tag))));
}

/** A word with the mark of its kind. */
export function badge(kind, text) {
  return h("span", { class: `badge badge-${kind}` }, text);
}
