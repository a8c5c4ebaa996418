// All sessions, filtered by the address.
import { api } from "../api.js";
import { content } from "../components/card.js";
import { csvButton } from "../components/csv-button.js";
import { checkField, filterForm, instantField, selectField, textField } from "../components/fields.js";
import { nothing } from "../components/nothing.js";
import { pager, totalLine } from "../components/pager.js";
import { asOfNotice } from "../components/time.js";
import { sessionTable } from "../components/session-table.js";
import { t } from "../i18n/catalog.js";
import { byEvents } from "../lib/concerns.js";
import { h } from "../lib/dom.js";
import { resource } from "../lib/resource.js";
import { address } from "../lib/router.js";
import { STAGES, STATES } from "../lib/stages.js";

const PATH = "/sessions";

export function sessionsView({ query, draw }) {
  const list = resource((signal) => api.sessions(query, signal), { concerns: byEvents });
  const download = csvButton({ path: "/onboard/sessions.csv", params: query, draw });
  return {
    title: () => t("nav.sessions"),
    resources: [list],
    actions: download,
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
    instantField("began_since", t("filter.began-since"), query.get("began_since")),
    instantField("began_until", t("filter.began-until"), query.get("began_until")),
    instantField("as_of", t("filter.as-of"), query.get("as_of")),
    selectField("order", t("event.order"), query.get("order"),
      [["", t("event.newest")], ["asc", t("event.oldest")]]),
    checkField("state", t("session.state"), query.getAll("state"), STATES.map((state) => [state, t(`state.${state}`)])),
  ] });
}

function results(query, data) {
  if (data.sessions.length === 0) return nothing("sessions", query, PATH);
  return [
    query.has("as_of") ? asOfNotice(query.get("as_of"), address(PATH, { state: query.getAll("state") })) : null,
    totalLine("sessions", data.total),
    sessionTable({ caption: t("nav.sessions"), sessions: data.sessions, wide: true }),
    pager({ path: PATH, query, answer: data, shown: data.sessions.length }),
  ];
}
