// All tickets, filtered by the address.
import { api } from "../api.js";
import { content } from "../components/card.js";
import { csvButton } from "../components/csv-button.js";
import { checkField, filterForm, selectField, textField } from "../components/fields.js";
import { nothing } from "../components/nothing.js";
import { pager, totalLine } from "../components/pager.js";
import { ticketTable } from "../components/ticket-table.js";
import { t } from "../i18n/catalog.js";
import { byEventsAndTickets } from "../lib/concerns.js";
import { h } from "../lib/dom.js";
import { resource } from "../lib/resource.js";
import { STAGES, STATES, STATUSES } from "../lib/stages.js";

const PATH = "/tickets";

// Named beginnings of a day's work; an empty assignee means nobody.
const QUEUES = { all: "", open: "status=open", ready: "tag=ready_for_ops", stalled: "state=stalled", failed: "stage=failed",
  free: "status=open&assignee=" };

export function ticketsView({ query, draw }) {
  const list = resource((signal) => api.tickets(query, signal), { concerns: byEventsAndTickets });
  const download = csvButton({ path: "/desk/tickets.csv", params: query, draw });
  return {
    title: () => t("nav.tickets"),
    resources: [list],
    actions: download,
    render: () => h("div", {}, queues(query), filters(query), content({ resource: list, body: (data) => results(query, data) })),
  };
}

function queues(query) {
  const here = [...query].filter(([name]) => name !== "limit" && name !== "cursor").map((pair) => pair.join("=")).join("&");
  return h("nav", { class: "queues", "aria-label": t("queue.label") }, Object.entries(QUEUES).map(([queue, search]) =>
    h("a", { class: "button", href: search === "" ? `#${PATH}` : `#${PATH}?${search}`, "aria-current": search === here ? "true" : null },
      t(`queue.${queue}`))));
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
    checkField("state", t("session.state"), query.getAll("state"), STATES.map((state) => [state, t(`state.${state}`)])),
  ] });
}

function results(query, data) {
  if (data.tickets.length === 0) return nothing("tickets", query, PATH);
  return [
    totalLine("tickets", data.total),
    ticketTable({ caption: t("nav.tickets"), tickets: data.tickets, wide: true }),
    pager({ path: PATH, query, answer: data, shown: data.tickets.length }),
  ];
}
