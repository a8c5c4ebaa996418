// Tickets as rows.
import { name, t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { NOTHING, duration, secondsBetween } from "../lib/format.js";
import { ticketAddress } from "../lib/stages.js";
import { badge, statusBadge, tagList } from "./badges.js";
import { table } from "./table.js";
import { exactTime, timeWithAge } from "./time.js";

/** A table of tickets; `wide` adds the columns a full page has room for. */
export function ticketTable({ caption, tickets, wide }) {
  return table({ caption, rows: tickets, keyOf: (row) => row.id, columns: [
    { label: t("ticket.one"), cell: (row) =>
      h("a", { href: ticketAddress(row.id), class: "strong" }, `#${row.id} `, h("bdi", {}, row.domain ?? row.session_id)) },
    { label: t("ticket.status"), cell: (row) => statusBadge(row.status) },
    wide && { label: t("session.stage"), cell: (row) => [
      row.current_stage === null ? t("stage.none") : name("stage", row.current_stage),
      row.stalled ? h("div", {}, badge("stalled", t("state.stalled"))) : null] },
    wide && { label: t("ticket.in-stage"), cell: (row) => (row.stage_since === null ? NOTHING
      : exactTime(row.stage_since, wholeMinutes(secondsBetween(row.stage_since, new Date().toISOString())))) },
    wide && { label: t("ticket.assignee"), cell: (row) => (row.assignee ? h("bdi", {}, row.assignee) : NOTHING) },
    wide && { label: t("ticket.tags"), cell: (row) => tagList(row.tags) ?? NOTHING },
    { label: t("ticket.opened"), className: wide && "extra", cell: (row) => timeWithAge(row.created_at) },
  ] });
}

// Seconds in every row would make the page flicker.
function wholeMinutes(seconds) {
  return duration(seconds < 60 ? Math.max(0, Math.floor(seconds)) : Math.floor(seconds / 60) * 60);
}
