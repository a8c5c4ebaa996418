// Conversion by the day on which sessions began: a column per day, and the same as a table.
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { number, percent, shortDay } from "../lib/format.js";
import { address } from "../lib/router.js";
import { table } from "./table.js";

export const TREND_DAYS = 30;
const DAY_MS = 86_400_000;

/** `days` as the service gives them: those without a session are missing, and drawn as empty. */
export function trend({ days }) {
  const most = Math.max(1, ...days.map((day) => day.sessions));
  const sums = days.reduce((all, day) => [all[0] + day.sessions, all[1] + day.reached.completed], [0, 0]);
  return [
    h("p", { class: "total" }, t("trend.sum", { share: percent(sums[1] / sums[0]), n: number(sums[0]) })),
    h("div", { class: "trend", "aria-hidden": "true" }, everyDay(days).map((day) => column(day, most))),
    h("p", { class: "row muted", "aria-hidden": "true" },
      [["onward", "completed"], ["failed", "failed"], ["active", "progress"]].map(([kind, text]) =>
      h("span", {}, h("span", { class: `swatch fill-${kind}` }), " ", t(`tile.${text}`)))),
    h("details", {}, h("summary", {}, t("trend.table")),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("trend.table") },
        table({ caption: t("trend.title"), columns: dayColumns(), rows: [...days].reverse(), keyOf: (row) => row.day }))),
  ];
}

function everyDay(days) {
  const known = new Map(days.map((day) => [Date.parse(day.day), day]));
  const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  return Array.from({ length: TREND_DAYS }, (_, index) => {
    const at = today - (TREND_DAYS - 1 - index) * DAY_MS;
    return known.get(at) ?? { day: new Date(at).toISOString(), sessions: 0, reached: { completed: 0 }, failed: 0 };
  });
}

function column(day, most) {
  const { sessions, failed, reached: { completed } } = day;
  const part = (kind, count) => (count === 0 ? null
    : h("div", { class: `fill-${kind}`, style: { height: `${(100 * count) / most}%` } }));
  const title = `${shortDay(day.day)}: ${t("trend.of", { done: number(completed), n: number(sessions) })}`;
  return h("div", { class: "trend-day", title },
    part("active", sessions - completed - failed), part("failed", failed), part("onward", completed));
}

function dayColumns() {
  const link = (count, filters) => (row) => h("a", { href: beganOn(row.day, filters) }, number(count(row)));
  return [
    { label: t("trend.day"), cell: (row) => shortDay(row.day) },
    { label: t("trend.began"), className: "numeric", cell: link((row) => row.sessions, { reached: "started" }) },
    { label: t("tile.completed"), className: "numeric", cell: link((row) => row.reached.completed, { state: "completed" }) },
    { label: t("tile.failed"), className: "numeric", cell: link((row) => row.failed, { state: "failed" }) },
    { label: t("trend.share"), className: "numeric", cell: (row) => percent(row.reached.completed / row.sessions) },
  ];
}

function beganOn(day, filters) {
  const until = new Date(Date.parse(day) + DAY_MS).toISOString();
  return address("/sessions", { ...filters, began_since: day, began_until: until });
}
