// What is known about one thing: names and values.
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";

/** Of `fact`s. */
export const facts = (...all) => h("dl", { class: "facts" }, all);

/** A value, or several, under the text of `label`. */
export const fact = (label, ...value) => h("div", {}, h("dt", {}, t(label)), h("dd", {}, value));
