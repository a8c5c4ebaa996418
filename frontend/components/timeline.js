// A session's history on a vertical spine.
import { currentLanguage, name, t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { day, duration, number, preciseClock } from "../lib/format.js";
import { preference, setPreference } from "../lib/preferences.js";
import { eventAddress } from "../lib/stages.js";
import { arrange, isLate } from "../lib/timeline-model.js";
import { badge, effectBadge } from "./badges.js";
import { noteItem } from "./notes.js";
import { payload } from "./payload.js";
import { exactTime } from "./time.js";

// Entries of one list: of the lists of a long history the browser draws only those that are seen.
const PART = 50;

// What a thousand events have in common is made once, and one listener fills in the data of each.
const eventOf = new WeakMap();
let mould;

/** The events, and what was written between them, as ordered lists in the order the operator prefers. */
export function timeline(events, notes) {
  const newestFirst = preference("order") === "newest";
  const entries = arrange(events, notes, newestFirst);
  mould = h("details", { class: "raw" }, h("summary", {}, t("timeline.data")));
  const starts = entries.map((_, index) => index).filter((index) => index % PART === 0);
  // A key for each order: building a long list anew is cheaper than turning the standing one round.
  return starts.map((start) => h("ol", { class: newestFirst ? "timeline newest-first" : "timeline", "aria-label": t("timeline.label"),
    "data-key": preference("order") + start, onclick: fill }, entries.slice(start, start + PART).map(entry)));
}

/** Switches between oldest and newest first, and remembers it. */
export function orderSwitch(draw) {
  const newestFirst = preference("order") === "newest";
  return h("button", { type: "button", class: "quiet", onclick: () => {
    setPreference("order", newestFirst ? "oldest" : "newest");
    draw();
  } }, t(newestFirst ? "timeline.newest" : "timeline.oldest"));
}

/** Switches all times between the operator's zone and UTC. */
export function zoneSwitch(draw) {
  const isUtc = preference("zone") === "utc";
  return h("button", { type: "button", class: "quiet", "aria-pressed": String(isUtc), onclick: () => {
    setPreference("zone", isUtc ? "local" : "utc");
    draw();
  } }, t("zone.utc"));
}

function entry(item) {
  if (item.kind === "day") return h("li", { class: "day", "data-key": item.key }, exactTime(item.at, day(item.at)));
  if (item.kind === "fold") return fold(item);
  if (item.kind === "note") return h("li", { class: "written", "data-key": item.key }, noteItem(item.note));
  return eventItem(item);
}

function fold(item) {
  const { event_type: type, effect } = item.event;
  return h("li", { class: item.long ? "folded after-silence" : "folded", "data-key": item.key }, gap(item),
    h("details", {},
      h("summary", {}, t("timeline.fold", { n: number(item.entries.length), type, effect: name("effect", effect) })),
      h("ol", { class: "timeline nested" }, item.entries.map(eventItem))));
}

function eventItem(item) {
  const { event } = item;
  return h("li", { class: `event effect-${event.effect}${item.long ? " after-silence" : ""}`, "data-key": item.key }, gap(item),
    h("div", { class: "event-head" },
      exactTime(event.created_at, preciseClock(event.created_at), null),
      h("a", { class: "event-name", href: eventAddress(event.position) }, title(event)),
      effectBadge(event.effect),
      oddities(event)),
    meaning(event),
    details(event));
}

function gap({ since, long }) {
  if (since === null) return null;
  const text = long ? t("timeline.silence", { time: duration(since) }) : `+ ${duration(since)}`;
  return h("span", { class: long ? "gap gap-long" : "gap" }, text);
}

function oddities(event) {
  return [
    isLate(event) ? badge("late", t("timeline.late")) : null,
    event.clock_skew ? badge("late", t("timeline.skewed")) : null,
  ];
}

function title(event) {
  return event.stage === null || event.effect === "noted" ? event.event_type : name("stage", event.stage);
}

function meaning(event) {
  const gist = gistOf(event.data);
  if (gist === "" && title(event) === event.event_type) return null;
  return h("p", { class: "meaning" },
    title(event) === event.event_type ? null : h("code", {}, event.event_type), h("bdi", {}, gist));
}

// Enough to understand most events without opening them; the whole stands in the details.
function gistOf(data) {
  const plain = Object.entries(data ?? {}).map(([key, value]) => [key, [value].flat()])
    .filter(([, values]) => values.every((value) => ["string", "number", "boolean"].includes(typeof value)));
  return plain.slice(0, 3).map(([key, values]) => `${key}: ${values.join(", ").slice(0, 80)}`).join(" · ");
}

function details(event) {
  if (!event.data || Object.keys(event.data).length === 0) return null;
  const closed = mould.cloneNode(true);
  // An event never changes: what was filled in stays, in the language in which it was opened.
  closed.dataset.key = closed.dataset.memo = `data-${event.position}-${currentLanguage()}`;
  eventOf.set(closed, event);
  return closed;
}

function fill({ target }) {
  const opened = target.closest("details");
  if (eventOf.has(opened) && opened.childElementCount === 1) opened.append(...openedData(eventOf.get(opened)));
}

function openedData(event) {
  const whole = payload(event.data, t("timeline.data-of", { type: event.event_type }));
  if (!event.data_truncated) return [whole];
  return [whole, h("p", {}, t("timeline.cut"), " ", h("a", { href: eventAddress(event.position) }, t("timeline.whole")))];
}
