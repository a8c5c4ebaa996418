// The funnel: a row per stage. Each count is a link to the list of exactly the sessions it counts.
import { plural, t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { NOTHING, duration, number, percent } from "../lib/format.js";
import { onwardFrom, sessionsIn } from "../lib/stages.js";

const COLUMNS = ["stage", "where", "reached", "of-start", "of-previous", "median", "p90"];

/** The funnel of one answer of the service. */
export function funnel(answer) {
  return h("div", {},
    summary(answer),
    h("table", { class: "funnel", role: "table" },
      h("caption", { class: "visually-hidden" }, t("funnel.caption")),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, COLUMNS.map(heading))),
      h("tbody", { role: "rowgroup" }, answer.steps.map((step) => stageRow(answer, step)))),
    explanation());
}

function heading(column) {
  return h("th", { scope: "col", role: "columnheader", class: `col-${column}` }, t(`funnel.${column}`));
}

function summary({ total, stages, active_total: inProgress, steps, window }) {
  const stalled = steps.reduce((sum, step) => sum + step.stalled, 0);
  return h("ul", { class: "tiles" },
    tile("total", total, sessionsIn(window, { reached: "started" })),
    tile("completed", stages.completed, sessionsIn(window, { stage: "completed" }), share(stages.completed, total)),
    tile("progress", inProgress, sessionsIn(window, { state: ["active", "stalled"] }), plural("funnel.stalled", stalled)),
    tile("failed", stages.failed, sessionsIn(window, { stage: "failed" }), share(stages.failed, total)));
}

function share(part, total) {
  return t("funnel.share", { share: percent(total === 0 ? null : part / total) });
}

function tile(kind, count, href, note = "") {
  return h("li", { class: `tile tile-${kind}` },
    h("a", { href }, h("span", { class: "tile-count" }, number(count)), h("span", {}, t(`tile.${kind}`))),
    h("span", { class: "muted" }, note));
}

function stageRow(answer, step) {
  const segments = segmentsOf(answer.window, step);
  return h("tr", { role: "row", "data-key": step.stage, "data-stage": step.stage },
    h("th", { scope: "row", role: "rowheader", class: "col-stage" }, t(`stage.${step.stage}`)),
    h("td", { role: "cell", class: "col-where" }, bar(segments, answer.total), breakdown(segments)),
    h("td", { role: "cell", class: "col-reached", "data-label": t("funnel.reached") }, reached(answer.window, step)),
    measure("of-start", percent(step.conversion_from_start)),
    measure("of-previous", percent(step.conversion_from_previous)),
    measure("median", duration(step.median_seconds)),
    measure("p90", duration(step.p90_seconds)));
}

function measure(column, text) {
  return h("td", { role: "cell", class: `col-${column}`, "data-label": t(`funnel.${column}`) }, text);
}

function reached(window, step) {
  return h("a", { class: "count", href: sessionsIn(window, { reached: step.stage }) }, number(step.reached));
}

// Those who went on are what is left of all who came here once the ones standing here are taken away.
function segmentsOf(window, { stage, reached: all, active, stalled, failed }) {
  const here = (state) => sessionsIn(window, { furthest: stage, state });
  return [
    { kind: stage === "completed" ? "completed" : "onward", count: all - active - stalled - failed,
      href: onwardFrom(window, stage) },
    { kind: "active", count: active, href: here("active") },
    { kind: "stalled", count: stalled, href: here("stalled") },
    { kind: "failed", count: failed, href: here("failed") },
  ].filter(({ count }) => count > 0);
}

function bar(segments, total) {
  return h("div", { class: "bar", "aria-hidden": "true" }, segments.map(({ kind, count }) =>
    h("span", { class: `segment fill-${kind}`, "data-key": kind, style: { width: `${(100 * count) / total}%` } })));
}

function breakdown(segments) {
  if (segments.length === 0) return h("p", { class: "muted nobody" }, NOTHING, " ", t("funnel.nobody"));
  return h("ul", { class: "breakdown" }, segments.map(({ kind, count, href }) =>
    h("li", { "data-key": kind }, h("a", { href, "data-state": kind },
      h("span", { class: `swatch fill-${kind}`, "aria-hidden": "true" }),
      h("span", { class: "figure" }, number(count)), " ", plural(`where.${kind}`, count)))));
}

function explanation() {
  const points = ["population", "reached", "standing", "times", "live"];
  return h("details", { class: "how" }, h("summary", {}, t("how.title")),
    h("ul", {}, points.map((point) => h("li", {}, t(`how.${point}`)))));
}
