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
  return table({ caption, rows: sessions, keyOf: (row) => row.session_id, columns: [
    { label: t("session.one"), cell: (row) => [sessionLink(row),
      row.domain === null ? null : h("bdi", { class: "id" }, row.session_id)] },
    { label: t("session.state"), cell: stateBadge },
    { label: t("session.stage"), cell: stageText },
    wide && { label: t("session.began"), cell: (row) => timeWithAge(row.first_event_at) },
    { label: t("session.last"), cell: (row) => timeWithAge(row.last_event_at) },
    wide && { label: t("nav.events"), className: "numeric", cell: (row) => number(row.event_count) },
    { label: t("ticket.one"), cell: ticketLink },
  ] });
}
