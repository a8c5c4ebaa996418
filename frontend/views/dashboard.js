// The page operators keep open: the funnel, who is on the way, what fails, what waits for them.
import { api } from "../api.js";
import { card, empty } from "../components/card.js";
import { copyLine } from "../components/copy-line.js";
import { funnel } from "../components/funnel.js";
import { healthFacts } from "../components/health-facts.js";
import { sessionTable } from "../components/session-table.js";
import { ticketTable } from "../components/ticket-table.js";
import { t } from "../i18n/catalog.js";
import { byEvents, byEventsAndService, byEventsAndTickets } from "../lib/concerns.js";
import { h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { preference, setPreference } from "../lib/preferences.js";
import { resource } from "../lib/resource.js";
import { address } from "../lib/router.js";
import { failedWith, sessionsIn } from "../lib/stages.js";

const WINDOWS = { 24: "24h", 48: "48h", 168: "7d", 720: "30d" };
const NEWEST = 10;

export function dashboardView({ query }) {
  const hours = chosenWindow(query);
  const flow = resource((signal) => api.funnel({ hours }, signal), { concerns: byEvents });
  const tickets = resource((signal) => api.tickets({ limit: NEWEST }, signal), { concerns: byEventsAndTickets });
  const health = resource((signal) => api.readiness(signal), { concerns: byEventsAndService });
  return {
    title: () => t("nav.dashboard"),
    resources: [flow, tickets, health],
    actions: () => windowSwitch(hours),
    render: () => h("div", { class: "dashboard" },
      card({ id: "funnel", title: t("funnel.title"), resource: flow, body: (data) => funnelOrEmpty(data, hours),
        lines: 14, className: "span" }),
      h("div", { class: "column" },
        card({ id: "active", title: t("active.title"), resource: flow, body: activeSessions, lines: 6 }),
        card({ id: "health", title: t("health.title"), resource: health, body: healthFacts })),
      h("div", { class: "column" },
        card({ id: "failures", title: t("failures.title"), resource: flow, body: failures, lines: 3 }),
        card({ id: "newest-tickets", title: t("tickets.newest"), resource: tickets, body: newestTickets }))),

  };
}

function chosenWindow(query) {
  const wanted = query.get("hours") ?? preference("window");
  const hours = wanted in WINDOWS ? wanted : "48";
  setPreference("window", hours);
  return hours;
}

function windowSwitch(hours) {
  return h("nav", { class: "switch", "aria-label": t("window.label") }, Object.entries(WINDOWS).map(([value, label]) =>
    h("a", { href: address("/", { hours: value }), "aria-current": value === hours ? "true" : null }, t(`window.${label}`))));
}

function funnelOrEmpty(data, hours) {
  if (data.total > 0) return funnel(data);
  return empty(t("funnel.empty", { window: t(`window.long.${WINDOWS[hours]}`) }),
    h("p", {}, t("funnel.try")), copyLine(`scripts/verify-funnel-webhook.sh ${location.origin}`));
}

function activeSessions({ active_sessions: sessions, active_total: total, window }) {
  if (total === 0) return empty(t("active.empty"));
  const all = sessionsIn(window, { state: ["active", "stalled"] });
  return [
    h("p", { class: "total" }, h("a", { href: all }, t("active.shown", { shown: number(sessions.length), total: number(total) }))),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("active.list") },
      sessionTable({ caption: t("active.title"), sessions })),
  ];
}

function failures({ failures: reasons, stages, window }) {
  if (reasons.length === 0) return empty(t("failures.empty"));
  return [
    h("p", { class: "total" }, h("a", { href: sessionsIn(window, { state: "failed" }) },
      t("failures.all", { n: number(stages.failed) }))),
    h("ul", { class: "reasons" }, reasons.map((each) => reason(window, each))),
  ];
}

function reason(window, { code, count }) {
  return h("li", { "data-key": code ?? "" },
    h("bdi", {}, code ?? t("failures.no-code")),
    h("a", { class: "count", href: failedWith(window, code) }, number(count)));
}

function newestTickets({ tickets, total }) {
  if (total === 0) return empty(t("tickets.empty"));
  return [
    ticketTable({ caption: t("tickets.newest"), tickets }),
    h("p", {}, h("a", { href: "#/tickets" }, t("tickets.all", { n: number(total) }))),
  ];
}

