// The page operators keep open: the funnel, who is on the way, what fails, what waits for them.
import { api } from "../api.js";
import { stageText } from "../components/badges.js";
import { card, empty } from "../components/card.js";
import { testEvents } from "../components/copy-line.js";
import { csvButton } from "../components/csv-button.js";
import { filterForm, instantField } from "../components/fields.js";
import { funnel } from "../components/funnel.js";
import { healthFacts } from "../components/health-facts.js";
import { sessionLink } from "../components/links.js";
import { sessionTable } from "../components/session-table.js";
import { ticketTable } from "../components/ticket-table.js";
import { asOfNotice, timeWithAge } from "../components/time.js";
import { TREND_DAYS, trend } from "../components/trend.js";
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { preference, setPreference } from "../lib/preferences.js";
import { byEvents, byEventsAndService, byEventsAndTickets, resource } from "../lib/resource.js";
import { address } from "../lib/router.js";
import { failedWith, sessionsIn } from "../lib/stages.js";

const WINDOWS = { 24: "24h", 48: "48h", 168: "7d", 720: "30d" };
const NEWEST = 10;
const LONGEST = 3;
const KEPT_MS = 300_000;
const HOUR_MS = 3_600_000;

export function dashboardView({ query, draw }) {
  const asked = chosenWindow(query);
  const flow = resource(async (signal) => withScope(await api.funnel(asked, signal), asked), { concerns: byEvents });
  // The window before changes slowly: each connection anew, about every minute, loads it.
  const before = resource(windowBefore(asked), { concerns: () => false });
  const stuck = resource((signal) => api.sessions(stalledLongest(asked), signal), { concerns: byEvents });
  const days = resource((signal) => api.trend({ days: TREND_DAYS }, signal), { concerns: byEvents });
  const tickets = resource((signal) => api.tickets({ limit: NEWEST }, signal), { concerns: byEventsAndTickets });
  const health = resource((signal) => api.readiness(signal), { concerns: byEventsAndService });
  const download = csvButton({ path: "/onboard/funnel.csv", params: asked, draw });
  return {
    title: () => t("nav.dashboard"),
    resources: [flow, before, stuck, days, tickets, health],
    actions: () => windowSwitch(query.has("since") ? null : asked.hours),
    render: () => h("div", { class: "dashboard" },
      customWindow(query),
      card({ id: "funnel", title: t("funnel.title"), resource: flow, actions: download(), lines: 14, className: "span",
        body: (data) => [query.has("as_of") ? asOfNotice(query.get("as_of"), "#/") : null, funnelOrEmpty(data, before.data)] }),
      h("div", { class: "column" },
        card({ id: "active", title: t("active.title"), resource: flow, lines: 14, body: (data) =>
          [longestStalled(stuck.data), activeSessions(data)] }),
        card({ id: "trend", title: t("trend.title"), resource: days, lines: 6, body: (data) =>
          (data.days.length === 0 ? empty(t("trend.empty")) : trend(data)) })),
      h("div", { class: "column" },
        card({ id: "failures", title: t("failures.title"), resource: flow, body: failures, lines: 3 }),
        card({ id: "newest-tickets", title: t("tickets.newest"), resource: tickets, lines: 14, body: newestTickets }),
        card({ id: "health", title: t("health.title"), resource: health, lines: 5, body: healthFacts }))),
  };
}

/** The query of the funnel: the chosen hours or the operator's own window, now or as of a past instant. */
function chosenWindow(query) {
  const own = Object.fromEntries(["since", "until", "as_of"].filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
  if ("since" in own) return own;
  const wanted = query.get("hours") ?? preference("window");
  const hours = wanted in WINDOWS ? wanted : "48";
  setPreference("window", hours);
  return { hours, ...own };
}

// Lists are asked with what was asked of the funnel, so that they count the same sessions.
function withScope(answer, { until, as_of }) {
  const scope = { since: answer.window.since, until, as_of };
  for (const name of ["until", "as_of"]) if (scope[name] === undefined) delete scope[name];
  return { ...answer, scope };
}

/** Where the window asked for begins and ends, in milliseconds. */
function boundsOf({ hours, since, until, as_of }) {
  const end = Date.parse(until ?? as_of ?? new Date().toISOString());
  return { start: since === undefined ? end - hours * HOUR_MS : Date.parse(since), end };
}

function stalledLongest(asked) {
  const { hours: _hours, ...own } = asked;
  return { state: "stalled", order: "asc", limit: LONGEST, since: instantAt(boundsOf(asked).start), ...own };
}

// What is no time in the address is the service's to refuse.
function instantAt(milliseconds) {
  return Number.isNaN(milliseconds) ? "" : new Date(milliseconds).toISOString();
}

// As it was known when it ended: later events of the same sessions must not change it. Being past it hardly moves.
function windowBefore(asked) {
  let kept = null;
  let keptAt = -Infinity;
  return async (signal) => {
    const { start, end } = boundsOf(asked);
    if (!(end > start)) return null;
    if (Date.now() - keptAt > KEPT_MS) {
      kept = await api.funnel({ hours: (end - start) / HOUR_MS, as_of: instantAt(start) }, signal);
      keptAt = Date.now();
    }
    return kept;
  };
}

function customWindow(query) {
  return filterForm({ path: "/", query, label: t("window.custom"), open: query.has("since") || query.has("as_of"), fields: [
    instantField("since", t("event.since"), query.get("since")),
    instantField("until", t("event.until"), query.get("until")),
    instantField("as_of", t("filter.as-of"), query.get("as_of")),
  ] });
}

function windowSwitch(hours) {
  return h("nav", { class: "switch", "aria-label": t("window.label") }, Object.entries(WINDOWS).map(([value, label]) =>
    h("a", { href: address("/", { hours: value }), "aria-current": value === hours ? "true" : null }, t(`window.${label}`))));
}

function funnelOrEmpty(data, before) {
  if (data.total > 0) return funnel(data, before);
  return empty(t("funnel.empty"), testEvents());
}

function longestStalled(list) {
  if (list === null || list.total === 0) return null;
  return h("div", { class: "stuck" }, h("h3", {}, t("stuck.title")),
    h("ul", { class: "reasons" }, list.sessions.map((session) => h("li", { "data-key": session.session_id },
      h("span", {}, sessionLink(session), " ", h("span", { class: "muted" }, stageText(session))), timeWithAge(session.last_event_at)))));
}

function activeSessions({ active_sessions: sessions, active_total: total, scope }) {
  if (total === 0) return empty(t("active.empty"));
  const all = sessionsIn(scope, { state: ["active", "stalled"] });
  return [
    h("p", { class: "total" }, h("a", { href: all }, t("active.shown", { shown: number(sessions.length), total: number(total) }))),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("active.list") },
      sessionTable({ caption: t("active.title"), sessions })),
  ];
}

function failures({ failures: reasons, stages, scope }) {
  if (reasons.length === 0) return empty(t("failures.empty"));
  return [
    h("p", { class: "total" }, h("a", { href: sessionsIn(scope, { state: "failed" }) },
      t("failures.all", { n: number(stages.failed) }))),
    h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t("failures.title") },
      h("ul", { class: "reasons" }, reasons.map((each) => reason(scope, each)))),
  ];
}

function reason(scope, { code, count }) {
  return h("li", { "data-key": code ?? "" },
    h("bdi", {}, code ?? t("failures.no-code")),
    h("a", { class: "count", href: failedWith(scope, code) }, number(count)));
}

function newestTickets({ tickets, total }) {
  if (total === 0) return empty(t("tickets.none"));
  return [
    ticketTable({ caption: t("tickets.newest"), tickets }),
    h("p", {}, h("a", { href: "#/tickets" }, t("tickets.all", { n: number(total) }))),
  ];
}
