// Instants: the exact time is always readable, the age stands beside it.
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { NOTHING, ago, fullMoment, moment } from "../lib/format.js";

/** Short exact time and its age; a dash for none. */
export function timeWithAge(instant) {
  if (instant === null || instant === undefined) return NOTHING;
  return h("span", { class: "when" }, exactTime(instant), " ", h("span", { class: "muted" }, ago(instant)));
}

/** A `<time>` with the given text, or the short form; `title` tells it in full where the text does not. */
export function exactTime(instant, text = moment(instant), title = fullMoment(instant)) {
  return h("time", { datetime: instant, title }, text);
}

/** Says that what is shown was known at a past instant, with the way back to now. */
export function asOfNotice(instant, href) {
  return h("p", { class: "notice" }, t("as-of.shown", { time: fullMoment(instant) }), " ", h("a", { href }, t("as-of.now")));
}
