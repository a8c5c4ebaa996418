// A payload as indented JSON. Text only: whatever it holds is shown, nothing of it is run.
import { h } from "../lib/dom.js";

/** Scrollable, therefore focusable and named. */
export function payload(value, label) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return h("pre", { class: "payload", tabindex: "0", role: "region", "aria-label": label, dir: "ltr" }, text);
}
