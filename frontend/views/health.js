// What the service says about itself, and what it could not take in.
import { api } from "../api.js";
import { card } from "../components/card.js";
import { copyLine } from "../components/copy-line.js";
import { healthFacts, projectionFacts } from "../components/health-facts.js";
import { quarantineList } from "../components/quarantine.js";
import { rejectedList } from "../components/rejected.js";
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { byEventsAndService, byService, resource } from "../lib/resource.js";

export function healthView({ query, draw }) {
  const health = resource((signal) => api.readiness(signal), { concerns: byEventsAndService });
  const quarantined = resource((signal) => api.quarantined(pageIn(query, "quarantined"), signal),
    { concerns: byService });
  const rejected = resource((signal) => api.rejected(pageIn(query, "rejected"), signal), { concerns: byService });
  const reload = () => Promise.all([health.refresh(), quarantined.refresh()]);
  const drawQuarantined = quarantineList({ draw, reload, query });
  return {
    title: () => t("nav.health"),
    resources: [health, quarantined, rejected],
    render: () => h("div", { class: "stack" },
      h("div", { class: "dashboard" },
        card({ id: "health", title: t("health.title"), resource: health, lines: 6, body: healthFacts }),
        card({ id: "projection", title: t("health.projections"), resource: health, lines: 6, body: projection })),
      card({ id: "quarantine", title: t("quarantine.title"), resource: quarantined, body: drawQuarantined }),
      card({ id: "rejected", title: t("rejected.title"), resource: rejected, body: (data) => rejectedList(data, query) })),
  };
}

function pageIn(query, name) {
  return query.has(name) ? { cursor: query.get(name) } : {};
}

function projection(data) {
  const isSound = data.projection !== "stale" && !data.verified_differences;
  return [projectionFacts(data), isSound ? null : remedy()];
}

function remedy() {
  return h("div", { class: "empty" }, h("p", {}, t("health.remedy")), copyLine("ops-rebuild-projections"));
}
