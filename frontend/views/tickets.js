// All tickets, filtered by the address.
import { api } from "../api.js";
import { checkField, choices, filterForm, selectField, textField } from "../components/fields.js";
import { listPage } from "../components/list-page.js";
import { ticketTable } from "../components/ticket-table.js";
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { byEventsAndTickets } from "../lib/resource.js";
import { STAGES, STATES, STATUSES } from "../lib/stages.js";

// Named beginnings of a day's work; an empty assignee means nobody.
const QUEUES = { all: "", open: "status=open", ready: "tag=ready_for_ops", stalled: "state=stalled", failed: "stage=failed",
  free: "status=open&assignee=" };

export function ticketsView({ query, draw }) {
  return listPage({ kind: "tickets", query, draw, load: api.tickets, csv: "/desk/tickets.csv", concerns: byEventsAndTickets,
    filters: () => [queues(query), ticketFilters(query)],
    list: ({ tickets }) => ticketTable({ caption: t("nav.tickets"), tickets, wide: true }) });
}

function queues(query) {
  const here = [...query].filter(([name]) => name !== "limit" && name !== "cursor").map((pair) => pair.join("=")).join("&");
  return h("nav", { class: "queues", "aria-label": t("queue.label") }, Object.entries(QUEUES).map(([queue, search]) =>
    h("a", { class: "button", href: search === "" ? "#/tickets" : `#/tickets?${search}`, "aria-current": search === here ? "true" : null },
      t(`queue.${queue}`))));
}

function ticketFilters(query) {
  const any = ["", t("filter.any")];
  return filterForm({ path: "/tickets", query, fields: [
    textField("q", t("filter.search"), query.get("q"), { type: "search" }),
    selectField("status", t("ticket.status"), query.get("status"), [any, ...choices("status", STATUSES)]),
    selectField("stage", t("filter.stage"), query.get("stage"), [any, ...choices("stage", [...STAGES, "failed"])]),
    textField("tag", t("ticket.tag"), query.get("tag")),
    textField("assignee", t("ticket.assignee"), query.get("assignee")),
    checkField("state", t("session.state"), query.getAll("state"), choices("state", STATES)),
  ] });
}
