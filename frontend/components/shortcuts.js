// Single-key shortcuts, inert where someone types, and the dialog that lists them.
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { preference, setPreference } from "../lib/preferences.js";
import { navigate } from "../lib/router.js";

const PLACES = { d: "dashboard", t: "tickets", s: "sessions", e: "events", h: "health" };
const LISTED = ["?", "/", "j", "k", "Enter", ...Object.keys(PLACES), "p"];
const ROWS = "main :is(.list tbody th a, .event-head a, .folded summary)";
const TYPING = "input, select, textarea, [contenteditable]";
const SEQUENCE_MS = 1500;

/** Listens to the page's keys; `pause` is what `p` does. */
export function installShortcuts(pause) {
  const actions = { "?": showShortcuts, "/": search, j: () => step(1), k: () => step(-1), p: pause };
  let wentAt = -Infinity;

  function actionOf(event) {
    const going = event.timeStamp - wentAt < SEQUENCE_MS;
    wentAt = event.key === "g" ? event.timeStamp : -Infinity;
    if (going && Object.hasOwn(PLACES, event.key)) return () => navigate(placeOf(event.key));
    return Object.hasOwn(actions, event.key) ? actions[event.key] : null;
  }

  window.addEventListener("keydown", (event) => {
    if (isOff(event)) return;
    const action = actionOf(event);
    if (action === null) return;
    event.preventDefault();
    action();
  });
}

/** Opens the list of shortcuts, with the switch that turns them off. */
export function showShortcuts() {
  const close = () => dialog.close();
  const choose = (event) => setPreference("shortcuts", event.target.checked ? "on" : "off");
  const dialog = h("dialog", { class: "keys", "aria-labelledby": "keys-title", onclose: () => dialog.remove() },
    h("h2", { id: "keys-title" }, t("keys.title")),
    h("dl", { class: "facts" }, LISTED.map((keys) => h("div", {},
      h("dt", {}, keys in PLACES ? h("kbd", {}, "g") : null, h("kbd", {}, keys)),
      h("dd", {}, t(keys in PLACES ? `nav.${PLACES[keys]}` : `keys.${keys}`))))),
    h("label", { class: "row" }, h("input", { type: "checkbox", checked: preference("shortcuts") === "on", onchange: choose }),
      t("keys.on")),
    h("button", { type: "button", onclick: close }, t("keys.close")));
  document.body.append(dialog);
  dialog.showModal();
}

function placeOf(key) {
  return key === "d" ? "#/" : `#/${PLACES[key]}`;
}

function isOff(event) {
  return event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing
    || preference("shortcuts") !== "on" || event.target.closest?.(TYPING) || document.querySelector("dialog[open]") !== null
    || document.querySelector(".shell") === null;
}

function search() {
  if (focusSearch()) return;
  window.addEventListener("hashchange", focusSearch, { once: true });
  navigate("#/sessions");
}

function focusSearch() {
  const field = document.querySelector("main input[type=search]");
  if (field === null) return false;
  field.closest("details")?.setAttribute("open", "");
  field.focus();
  return true;
}

// A row's own link takes the focus, so that Enter opens it without any help; what is folded away cannot.
function step(by) {
  const links = [...document.querySelectorAll(ROWS)].filter((link) => link.checkVisibility());
  const row = document.activeElement.closest("tr, li");
  const at = links.findIndex((link) => link.closest("tr, li") === row);
  const next = links[at === -1 ? 0 : at + by];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}
