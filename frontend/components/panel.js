// A form on a page of its own, for those who are not signed in yet.
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";

/** `message` tells why it did not work; `trying` while it is being tried. */
export function panel({ title, intro = null, fields, submit, message, trying, onsubmit }) {
  return h("main", { class: "sign-in" },
    h("div", { class: "brand" }, t("brand")),
    h("h1", { tabindex: "-1" }, title),
    h("form", { onsubmit: (event) => { event.preventDefault(); if (!trying) onsubmit(event.target.elements); } },
      intro === null ? null : h("p", { class: "muted" }, intro),
      fields,
      h("p", { class: "message message-bad", role: "alert" }, message),
      h("button", { type: "submit", class: "primary", "aria-disabled": String(trying) }, submit)));
}

/** A name, as password managers look for it. */
export function nameField(value = null, extra = {}) {
  return h("label", { class: "field" }, h("span", {}, t("people.name")),
    h("input", { name: "name", value, required: true, maxlength: "64", autocomplete: "username", autocapitalize: "none",
      spellcheck: "false", ...extra }));
}

/** A password; `fresh` for one that is being chosen. */
export function passwordField(name, label, fresh = false) {
  return h("label", { class: "field" }, h("span", {}, label),
    h("input", { type: "password", name, required: true, maxlength: "256", minlength: fresh ? "12" : null,
      autocomplete: fresh ? "new-password" : "current-password" }));
}
