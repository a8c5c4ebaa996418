// Saves what a list shows, all its pages, as a CSV file.
import { api } from "../api.js";
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { announce } from "./announcer.js";
import { explainRefusal } from "./card.js";

/** Holds the outcome of the last download of `path`; `params` are the list's own. */
export function csvButton({ path, params, draw }) {
  let message = null;

  async function save() {
    message = null;
    try {
      offer(await api.csv(path, params), path.split("/").at(-1));
      announce(t("csv.saved"));
    } catch (error) {
      message = error.status === 422 && error.errors.length === 0 ? t("csv.too-many") : explainRefusal(error);
    }
    draw();
  }

  return () => h("div", { class: "buttons" },
    h("button", { type: "button", class: "quiet", onclick: save, title: t("csv.hint") }, t("csv")),
    message === null ? null : h("span", { class: "message-bad", role: "alert" }, message));
}

function offer(file, name) {
  const url = URL.createObjectURL(file);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
