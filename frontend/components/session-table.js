// Sessions as rows.
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { stageText, stateBadge } from "./badges.js";
import { sessionLink, ticketLink } from "./links.js";
import { table } from "./table.js";
import { timeWithAge } from "./time.js";

/** A table of sessions; `wide` adds the columns a full page has room for. */
export function sessionTable({ caption, sessions, wide }) {
  const columns = wide ? [who, state, stage, began, last, events, ticket] : [who, state, stage, last, ticket];
  return table({ caption, columns: columns.map((column) => column()), rows: sessions, keyOf: (row) => row.session_id });
}

function who() {
  return { label: t("session.one"), cell: (row) => [sessionLink(row),
    row.domain === null ? null : h("bdi", { class: "id" }, row.session_id)] };
}

function state() {
  return { label: t("session.state"), cell: stateBadge };
}

function stage() {
  return { label: t("session.stage"), cell: stageText };
}

function began() {
  return { label: t("session.began"), cell: (row) => timeWithAge(row.first_event_at) };
}

function last() {
  return { label: t("session.last"), cell: (row) => timeWithAge(row.last_event_at) };
}

function events() {
  return { label: t("nav.events"), className: "numeric", cell: (row) => number(row.event_count) };
}

function ticket() {
  return { label: t("ticket.one"), cell: ticketLink };
}
