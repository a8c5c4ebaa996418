import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";

/** For an address that names no view. */
export function notFoundView() {
  return {
    title: () => t("not-found.title"),
    resources: [],
    render: () => h("p", {}, t("not-found.text"), " ", h("a", { href: "#/" }, t("nav.dashboard"))),
  };
}
