// Instants: the exact time is always readable, the age stands beside it.
import { h } from "../lib/dom.js";
import { NOTHING, ago, fullMoment, moment } from "../lib/format.js";

/** Short exact time and its age; a dash for none. */
export function timeWithAge(instant) {
  if (instant === null || instant === undefined) return NOTHING;
  return h("span", { class: "when" }, exactTime(instant), " ", h("span", { class: "muted" }, ago(instant)));
}

/** A `<time>` with the given text, or the short form. */
export function exactTime(instant, text = moment(instant)) {
  return h("time", { datetime: instant, title: fullMoment(instant) }, text);
}
