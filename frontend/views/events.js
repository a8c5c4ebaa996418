// The log itself, filtered by the address.
import { api } from "../api.js";
import { badge } from "../components/badges.js";
import { content } from "../components/card.js";
import { csvButton } from "../components/csv-button.js";
import { filterForm, instantField, selectField, textField } from "../components/fields.js";
import { nothing } from "../components/nothing.js";
import { pager, totalLine } from "../components/pager.js";
import { table } from "../components/table.js";
import { exactTime, timeWithAge } from "../components/time.js";
import { t } from "../i18n/catalog.js";
import { byEvents } from "../lib/concerns.js";
import { h } from "../lib/dom.js";
import { NOTHING } from "../lib/format.js";
import { resource } from "../lib/resource.js";
import { eventAddress, sessionAddress } from "../lib/stages.js";

const PATH = "/events";
const NEWEST_FIRST = "desc";

export function eventsView({ query, draw }) {
  const asked = { order: NEWEST_FIRST, ...Object.fromEntries(query) };
  const list = resource((signal) => api.events(asked, signal), { concerns: byEvents });
  const download = csvButton({ path: "/events.csv", params: asked, draw });
  return {
    title: () => t("nav.events"),
    resources: [list],
    actions: download,
    render: () => h("div", {}, filters(query), content({ resource: list, body: (data) => results(query, data) })),
  };
}

function filters(query) {
  return filterForm({ path: PATH, query, fields: [
    textField("session_id", t("session.id"), query.get("session_id"), { type: "search" }),
    textField("event_type", t("event.type"), query.get("event_type")),
    textField("source", t("session.source"), query.get("source")),
    selectField("order", t("event.order"), query.get("order") ?? NEWEST_FIRST,
      [[NEWEST_FIRST, t("event.newest")], ["asc", t("event.oldest")]]),
    instantField("since", t("event.since"), query.get("since")),
    instantField("until", t("event.until"), query.get("until")),
  ] });
}

function results(query, data) {
  if (data.events.length === 0) return nothing("events", query, PATH);
  return [
    data.total === null ? null : totalLine("events", data.total),
    table({ caption: t("nav.events"), columns: columns(), rows: data.events, keyOf: (row) => row.position }),
    pager({ path: PATH, query, answer: data, shown: data.events.length, parameter: "after" }),
  ];
}

function columns() {
  return [
    { label: t("event.one"), cell: (row) =>
      h("a", { class: "strong", href: eventAddress(row.position) }, `#${row.position} ${row.event_type}`) },
    { label: t("session.one"), cell: (row) =>
      h("a", { href: sessionAddress(row.session_id) }, h("bdi", {}, row.session_id)) },
    { label: t("filter.domain"), cell: (row) => (row.domain ? h("bdi", {}, row.domain) : NOTHING) },
    { label: t("session.source"), cell: (row) => h("bdi", {}, row.source) },
    { label: t("event.occurred"), cell: (row) => [exactTime(row.occurred_at),
      row.clock_skew ? badge("late", t("timeline.skewed")) : null] },
    { label: t("event.received"), cell: (row) => timeWithAge(row.received_at) },
  ];
}
