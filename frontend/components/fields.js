// Form fields and the filter form whose values live in the address.
import { plural, t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { preference } from "../lib/preferences.js";
import { address, navigate } from "../lib/router.js";

const PAGING = new Set(["cursor", "after", "limit", "order", "hours"]);

/** A form that goes to `path` with its values as the query; folded at first where the screen is narrow. */
export function filterForm({ path, query, fields, label = t("filter.label"), open = isWide() }) {
  const used = filtersIn(query);
  const onsubmit = (event) => {
    event.preventDefault();
    navigate(address(path, valuesOf(event.target, query)));
  };
  return h("details", { class: "filter-panel", open },
    h("summary", {}, used === 0 ? label : plural("filter.used", used)),
    h("form", { class: "filters", role: "search", "aria-label": label, onsubmit },
      fields,
      h("div", { class: "buttons" },
        h("button", { type: "submit", class: "primary" }, t("filter.apply")),
        used === 0 ? null : h("a", { class: "button", href: address(path) }, t("filter.clear")))));
}

/** How many filters an address holds. */
export function filtersIn(query) {
  return [...query.keys()].filter((name) => !PAGING.has(name)).length;
}

/** A labelled input. */
export function textField(name, label, value, extra = {}) {
  return field(label, h("input", { name, value: value ?? "", autocomplete: "off", spellcheck: "false", ...extra }));
}

/** A labelled choice among `options`, pairs of value and text; the first means "any" when its value is empty. */
export function selectField(name, label, value, options, extra = {}) {
  return field(label, h("select", { name, ...extra },
    options.map(([choice, text]) => h("option", { value: choice, selected: choice === (value ?? "") }, text))));
}

/** The values with their texts in the catalog. */
export const choices = (group, values) => values.map((value) => [value, t(`${group}.${value}`)]);

/** Several boxes under one name. */
export function checkField(name, label, chosen, options) {
  return h("fieldset", { class: "field checks" }, h("legend", {}, label),
    options.map(([value, text]) =>
      h("label", {}, h("input", { type: "checkbox", name, value, checked: chosen.includes(value) }), " ", text)));
}

/** A labelled instant, entered in the chosen zone. The exact value is kept until the operator edits the field. */
export function instantField(name, label, value) {
  const shown = value ? toInput(value) : "";
  return field(label, h("input", { type: "datetime-local", step: "1", name, value: shown, "data-exact": value }));
}

function isWide() {
  return matchMedia("(min-width: 48rem)").matches;
}

function field(label, control) {
  return h("label", { class: "field" }, h("span", {}, label), control);
}

// What is empty stands for any value, but where the address asks for the empty one.
function valuesOf(form, query) {
  const values = {};
  for (const [name, value] of new FormData(form)) {
    const exact = exactValue(form.elements[name], value);
    if (exact !== "" || query.get(name) === "") (values[name] ??= []).push(exact);
  }
  return values;
}

function exactValue(control, value) {
  if (control.type !== "datetime-local" || value === "") return value.trim();
  if (value === control.getAttribute("value") && control.dataset.exact) return control.dataset.exact;
  return new Date(preference("zone") === "utc" ? `${value}Z` : value).toISOString();
}

function toInput(instant) {
  const date = new Date(instant);
  if (Number.isNaN(date.getTime())) return "";
  const offset = preference("zone") === "utc" ? 0 : date.getTimezoneOffset() * 60_000;
  // Without the seconds where there are none: as browsers give it back.
  return new Date(date.getTime() - offset).toISOString().slice(0, 19).replace(/:00$/, "");
}
