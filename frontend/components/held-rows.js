// While someone is in a list (focus, or at the page with pointer or selected text there), its rows stay where they are and are only updated
// in place; new ones wait behind a button.
import { plural } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { isAttended } from "../lib/presence.js";

const lists = new Map();

/** The rows to show now of the list `name`, and how many new ones wait. */
export function holdRows(name, rows, keyOf) {
  const keyed = new Map(rows.map((row) => [String(keyOf(row)), row]));
  const held = isInUse(name) ? lists.get(name)?.keyed : undefined;
  if (held !== undefined) for (const [key, row] of held) held.set(key, keyed.get(key) ?? row);
  const shown = held ?? keyed;
  const waiting = [...keyed.keys()].filter((key) => !shown.has(key)).length;
  lists.set(name, { keyed: shown, waiting });
  return { rows: [...shown.values()], waiting };
}

/** The frame around a list that `holdRows` serves: with the button, and the list freed when it is left. */
export function heldList(name, waiting, list) {
  const onleave = ({ currentTarget }) => setTimeout(() => { if (lists.get(name)?.waiting > 0) redraw(currentTarget); });
  return h("div", { class: "held-list", "data-list": name, onmouseleave: onleave, onfocusout: onleave },
    waiting === 0 ? null : h("button", { type: "button", class: "waiting", "data-key": "waiting",
      onclick: ({ currentTarget }) => free(name, currentTarget) }, plural("list.waiting", waiting)),
    list);
}

/** Shows the list as it is now: for what the operator did in it. */
export function releaseRows(name) {
  lists.delete(name);
}

function free(name, button) {
  releaseRows(name);
  redraw(button);
}

function redraw(element) {
  element.dispatchEvent(new CustomEvent("redraw", { bubbles: true }));
}

function isInUse(name) {
  const body = document.querySelector(`[data-list="${CSS.escape(name)}"] tbody`);
  if (body === null) return false;
  const selection = getSelection();
  return body.contains(document.activeElement)
    || (isAttended() && (body.matches(":hover") || (!selection.isCollapsed && body.contains(selection.anchorNode))));
}
