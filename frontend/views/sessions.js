// All sessions, filtered by the address.
import { api } from "../api.js";
import { content, empty } from "../components/card.js";
import { checkField, filterForm, instantField, selectField, textField } from "../components/fields.js";
import { pager, totalLine } from "../components/pager.js";
import { sessionTable } from "../components/session-table.js";
import { t } from "../i18n/catalog.js";
import { byEvents } from "../lib/concerns.js";
import { h } from "../lib/dom.js";
import { resource } from "../lib/resource.js";
import { STAGES, STATES } from "../lib/stages.js";

const PATH = "/sessions";

export function sessionsView({ query }) {
  const list = resource((signal) => api.sessions(query, signal), { concerns: byEvents });
  return {
    title: () => t("nav.sessions"),
    resources: [list],
    render: () => h("div", {}, filters(query), content({ resource: list, body: (data) => results(query, data) })),
  };
}

function filters(query) {
  const any = ["", t("filter.any")];
  const stages = [any, ...STAGES.map((stage) => [stage, t(`stage.${stage}`)])];
  return filterForm({ path: PATH, query, fields: [
    textField("q", t("filter.search"), query.get("q"), { type: "search" }),
    textField("domain", t("filter.domain"), query.get("domain")),
    selectField("stage", t("filter.stage"), query.get("stage"), [...stages, ["failed", t("stage.failed")]]),
    selectField("furthest", t("filter.furthest"), query.get("furthest"), stages),
    selectField("reached", t("filter.reached"), query.get("reached"), stages),
    textField("failure_code", t("filter.failure-code"), query.get("failure_code")),
    instantField("since", t("filter.since"), query.get("since")),
    instantField("until", t("filter.until"), query.get("until")),
    checkField("state", t("session.state"), query.getAll("state"), STATES.map((state) => [state, t(`state.${state}`)])),
  ] });
}

function results(query, data) {
  if (data.sessions.length === 0) return empty(t("sessions.empty"));
  return [
    totalLine("sessions", data.total),
    sessionTable({ caption: t("nav.sessions"), sessions: data.sessions, wide: true }),
    pager({ path: PATH, query, answer: data, shown: data.sessions.length }),
  ];
}
