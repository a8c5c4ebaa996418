// The log itself, filtered by the address.
import { api } from "../api.js";
import { badge } from "../components/badges.js";
import { filterForm, instantField, selectField, textField } from "../components/fields.js";
import { eventLink, idLink } from "../components/links.js";
import { listPage } from "../components/list-page.js";
import { table } from "../components/table.js";
import { exactTime, timeWithAge } from "../components/time.js";
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { byEvents } from "../lib/resource.js";
import { NOTHING } from "../lib/format.js";

const NEWEST_FIRST = "desc";

export function eventsView({ query, draw }) {
  const asked = { order: NEWEST_FIRST, ...Object.fromEntries(query) };
  return listPage({ kind: "events", query, asked, draw, load: api.events, csv: "/events.csv", concerns: byEvents,
    position: "after", filters: () => eventFilters(query), list: ({ events }) =>
      table({ caption: t("nav.events"), columns: eventColumns(), rows: events, keyOf: (row) => row.position }) });
}

function eventFilters(query) {
  return filterForm({ path: "/events", query, fields: [
    textField("session_id", t("session.id"), query.get("session_id"), { type: "search" }),
    textField("event_type", t("event.type"), query.get("event_type")),
    textField("source", t("session.source"), query.get("source")),
    selectField("order", t("event.order"), query.get("order") ?? NEWEST_FIRST,
      [[NEWEST_FIRST, t("event.newest")], ["asc", t("event.oldest")]]),
    instantField("since", t("event.since"), query.get("since")),
    instantField("until", t("event.until"), query.get("until")),
  ] });
}

function eventColumns() {
  return [
    { label: t("event.one"), cell: eventLink },
    { label: t("session.one"), cell: idLink },
    { label: t("filter.domain"), cell: (row) => (row.domain ? h("bdi", {}, row.domain) : NOTHING) },
    { label: t("session.source"), cell: (row) => h("bdi", {}, row.source) },
    { label: t("event.occurred"), cell: (row) => [exactTime(row.occurred_at),
      row.clock_skew ? badge("late", t("timeline.skewed")) : null] },
    { label: t("event.received"), cell: (row) => timeWithAge(row.received_at) },
  ];
}
