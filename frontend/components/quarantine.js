// Events the projection could not read, with the error and a way to try them again.
import { api } from "../api.js";
import { plural, t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { may } from "../lib/account.js";
import { empty, explainRefusal, outcome } from "./card.js";
import { releaseRows } from "./held-rows.js";
import { eventLink, idLink } from "./links.js";
import { pager, totalLine } from "./pager.js";
import { table } from "./table.js";
import { timeWithAge } from "./time.js";

/** Holds the outcome of the last retry; `reload` fetches the list and the counts anew. */
export function quarantineList({ draw, reload, query }) {
  const state = { message: null, failed: false, trying: false };

  async function retry(session) {
    if (state.trying) return;
    state.trying = true;
    try {
      const { still_quarantined: left } = await api.retryQuarantined(session === undefined ? {} : { session_id: session });
      Object.assign(state, { message: plural("quarantine.left", left), failed: left > 0 });
    } catch (error) {
      Object.assign(state, { message: explainRefusal(error), failed: true });
    }
    state.trying = false;
    await reload();
    releaseRows(t("quarantine.title"));
    draw();
  }

  return (data) => [
    data.total === 0 ? empty(t("quarantine.empty")) : [
      totalLine("events", data.total),
      table({ caption: t("quarantine.title"), columns: quarantineColumns(retry), rows: data.events, keyOf: (row) => row.position }),
      pager({ path: "/health", query, answer: data, shown: data.events.length, parameter: "quarantined" }),
      may("write") ? h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => retry() }, t("quarantine.retry-all"))) : null,
    ],
    outcome(state),
  ];
}

function quarantineColumns(retry) {
  return [
    { label: t("event.one"), cell: eventLink },
    { label: t("session.one"), cell: idLink },
    { label: t("error.label"), cell: (row) => h("bdi", { class: "clip" }, row.error) },
    { label: t("event.since"), cell: (row) => timeWithAge(row.quarantined_at) },
    may("write") && { label: t("people.actions"), cell: (row) => h("button", { type: "button", class: "quiet",
      "aria-label": t("quarantine.retry-one", { session: row.session_id }), onclick: () => retry(row.session_id) },
    t("quarantine.retry")) },
  ];
}
