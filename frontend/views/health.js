// What the service says about itself.
import { api } from "../api.js";
import { card } from "../components/card.js";
import { copyLine } from "../components/copy-line.js";
import { healthFacts } from "../components/health-facts.js";
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { resource } from "../lib/resource.js";

export function healthView() {
  const health = resource((signal) => api.readiness(signal));
  return {
    title: () => t("nav.health"),
    resources: [health],
    render: () => card({ id: "health", title: t("health.title"), resource: health, lines: 6, body: (data) =>
      [healthFacts(data), data.projection === "current" && data.quarantined === 0 ? null : remedy()] }),
  };
}

function remedy() {
  return h("div", { class: "empty" }, h("p", {}, t("health.remedy")), copyLine("ops-rebuild-projections"));
}
