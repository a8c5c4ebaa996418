// A line to copy into a terminal.
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { announce } from "./announcer.js";

/** How to send first events, for places that are empty because nothing has come yet. */
export function testEvents() {
  return [h("p", {}, t("funnel.try")), copyLine(`scripts/verify-funnel-webhook.sh ${location.origin}`)];
}

/** The text with a button. The clipboard is only open to secure origins: elsewhere the text is selected instead. */
export function copyLine(text) {
  return h("div", { class: "copy" }, h("code", {}, text),
    h("button", { type: "button", onclick: (event) => copy(text, event.currentTarget.previousElementSibling) }, t("copy")));
}

async function copy(text, shown) {
  getSelection().selectAllChildren(shown);
  try {
    await navigator.clipboard.writeText(text);
    announce(t("copied"));
  } catch {
    announce(t("selected"));
  }
}
