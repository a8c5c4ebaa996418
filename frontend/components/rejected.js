// Authentic deliveries that were refused, with the reason and what they held.
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { empty } from "./card.js";
import { pager, totalLine } from "./pager.js";
import { payload } from "./payload.js";
import { table } from "./table.js";
import { timeWithAge } from "./time.js";

/** One page of them, newest first. */
export function rejectedList(data, query) {
  if (data.total === 0) return empty(t("rejected.empty"));
  return [
    totalLine("deliveries", data.total),
    table({ caption: t("rejected.title"), columns: rejectedColumns(), rows: data.rejected, keyOf: (row) => row.id }),
    pager({ path: "/health", query, answer: data, shown: data.rejected.length, parameter: "rejected" }),
  ];
}

function rejectedColumns() {
  return [
    { label: t("rejected.delivery"), cell: (row) => h("bdi", { class: "id" }, row.webhook_id) },
    { label: t("session.source"), cell: (row) => h("bdi", {}, row.source) },
    { label: t("failure.reason"), cell: (row) => [h("bdi", { class: "clip" }, `${row.status} · ${row.detail}`), rejectedBody(row)] },
    { label: t("event.received"), cell: (row) => timeWithAge(row.received_at) },
  ];
}

function rejectedBody(row) {
  return h("details", { class: "raw" }, h("summary", {}, t("rejected.body", { n: number(row.body_bytes) })),
    payload(row.body, t("timeline.data-of", { type: row.webhook_id })));
}
