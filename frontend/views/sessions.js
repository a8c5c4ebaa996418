// All sessions, filtered by the address.
import { api } from "../api.js";
import { checkField, choices, filterForm, instantField, selectField, textField } from "../components/fields.js";
import { listPage } from "../components/list-page.js";
import { asOfNotice } from "../components/time.js";
import { sessionTable } from "../components/session-table.js";
import { t } from "../i18n/catalog.js";
import { address } from "../lib/router.js";
import { byEvents } from "../lib/resource.js";
import { STAGES, STATES } from "../lib/stages.js";

export function sessionsView({ query, draw }) {
  return listPage({ kind: "sessions", query, draw, load: api.sessions, csv: "/onboard/sessions.csv", concerns: byEvents,
    filters: () => sessionFilters(query), list: ({ sessions }) => [
      query.has("as_of") ? asOfNotice(query.get("as_of"), address("/sessions", { state: query.getAll("state") })) : null,
      sessionTable({ caption: t("nav.sessions"), sessions, wide: true })] });
}

function sessionFilters(query) {
  const any = ["", t("filter.any")];
  const stages = [any, ...choices("stage", STAGES)];
  return filterForm({ path: "/sessions", query, fields: [
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
    checkField("state", t("session.state"), query.getAll("state"), choices("state", STATES)),
  ] });
}
