// Sessions as rows.
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { sessionAddress, ticketAddress } from "../lib/stages.js";
import { stageText, stateBadge } from "./badges.js";
import { table } from "./table.js";
import { timeWithAge } from "./time.js";

/** A table of sessions; `wide` adds the columns a full page has room for. */
export function sessionTable({ caption, sessions, wide }) {
  const columns = wide ? [who, state, stage, began, last, events, ticket] : [who, state, stage, last, ticket];
  return table({ caption, columns: columns.map((column) => column()), rows: sessions, keyOf: (row) => row.session_id });
}

/** The domain, or the id where none is known yet, linking to the session. */
export function sessionLink(session) {
  return h("a", { href: sessionAddress(session.session_id), class: "strong" },
    h("bdi", {}, session.domain ?? session.session_id));
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
  return { label: t("ticket.one"), cell: (row) => (row.ticket_id === null ? "—"
    : h("a", { href: ticketAddress(row.ticket_id) }, `#${row.ticket_id}`)) };
}
