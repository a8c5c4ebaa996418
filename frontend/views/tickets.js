// All tickets, filtered by the address.
import { api } from "../api.js";
import { content, empty } from "../components/card.js";
import { filterForm, selectField, textField } from "../components/fields.js";
import { pager, totalLine } from "../components/pager.js";
import { ticketTable } from "../components/ticket-table.js";
import { t } from "../i18n/catalog.js";
import { byEventsAndTickets } from "../lib/concerns.js";
import { h } from "../lib/dom.js";
import { resource } from "../lib/resource.js";
import { STAGES, STATUSES } from "../lib/stages.js";

const PATH = "/tickets";

export function ticketsView({ query }) {
  const list = resource((signal) => api.tickets(query, signal), { concerns: byEventsAndTickets });
  return {
    title: () => t("nav.tickets"),
    resources: [list],
    render: () => h("div", {}, filters(query), content({ resource: list, body: (data) => results(query, data) })),
  };
}

function filters(query) {
  const any = ["", t("filter.any")];
  const stages = [...STAGES, "failed"].map((stage) => [stage, t(`stage.${stage}`)]);
  return filterForm({ path: PATH, query, fields: [
    textField("q", t("filter.search"), query.get("q"), { type: "search" }),
    selectField("status", t("ticket.status"), query.get("status"),
      [any, ...STATUSES.map((status) => [status, t(`status.${status}`)])]),
    selectField("stage", t("filter.stage"), query.get("stage"), [any, ...stages]),
    textField("tag", t("ticket.tag"), query.get("tag")),
    textField("assignee", t("ticket.assignee"), query.get("assignee")),
  ] });
}

function results(query, data) {
  if (data.tickets.length === 0) return empty(query.size === 0 ? t("tickets.empty") : t("tickets.no-match"));
  return [
    totalLine("tickets", data.total),
    ticketTable({ caption: t("nav.tickets"), tickets: data.tickets, wide: true }),
    pager({ path: PATH, query, answer: data, shown: data.tickets.length }),
  ];
}
