// The funnel: a row per stage. Each count is a link to the list of exactly the sessions it counts.
import { plural, t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { NOTHING, duration, number, percent, points } from "../lib/format.js";
import { onwardFrom, sessionsIn } from "../lib/stages.js";

const COLUMNS = ["stage", "where", "reached", "of-start", "of-previous", "change", "median", "p90"];

const ENOUGH = 30;

/** The funnel of one answer, which brings its `scope`; `before` is the answer for the window before, or null. */
export function funnel(answer, before) {
  return h("div", {},
    summary(answer),
    h("table", { class: "funnel", role: "table" },
      h("caption", { class: "visually-hidden" }, t("funnel.caption")),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, COLUMNS.map(heading))),
      h("tbody", { role: "rowgroup" }, answer.steps.map((step, index) => stageRow(answer, step, before === null ? null : { of: before.total, ...before.steps[index] })))),
    explanation());
}

function heading(column) {
  return h("th", { scope: "col", role: "columnheader", class: `col-${column}` }, t(`funnel.${column}`));
}

function summary({ total, stages, active_total: inProgress, steps, scope }) {
  const stalled = steps.reduce((sum, step) => sum + step.stalled, 0);
  return h("ul", { class: "tiles" },
    tile("total", total, sessionsIn(scope, { reached: "started" })),
    tile("completed", stages.completed, sessionsIn(scope, { stage: "completed" }), share(stages.completed, total)),
    tile("progress", inProgress, sessionsIn(scope, { state: ["active", "stalled"] }), plural("funnel.stalled", stalled)),
    tile("failed", stages.failed, sessionsIn(scope, { stage: "failed" }), share(stages.failed, total)));
}

function share(part, total) {
  return t("funnel.share", { share: percent(total === 0 ? null : part / total) });
}

function tile(kind, count, href, note = "") {
  return h("li", { class: `tile tile-${kind}` },
    h("a", { href }, h("span", { class: "tile-count" }, number(count)), h("span", {}, t(`tile.${kind}`))),
    h("span", { class: "muted" }, note));
}

function stageRow(answer, step, before) {
  const segments = segmentsOf(answer.scope, step);
  return h("tr", { role: "row", "data-key": step.stage, "data-stage": step.stage },
    h("th", { scope: "row", role: "rowheader", class: "col-stage" }, t(`stage.${step.stage}`)),
    h("td", { role: "cell", class: "col-where" }, bar(segments, answer.total), breakdown(segments)),
    h("td", { role: "cell", class: "col-reached", "data-label": t("funnel.reached") }, reached(answer.scope, step)),
    measure("of-start", percent(step.conversion_from_start)),
    measure("of-previous", percent(step.conversion_from_previous)),
    measure("change", change(answer, step, before)),
    measure("median", duration(step.median_seconds)),
    measure("p90", duration(step.p90_seconds)));
}

function measure(column, text) {
  return h("td", { role: "cell", class: `col-${column}`, "data-label": t(`funnel.${column}`) }, text);
}

// A share of a few says nothing: its change is noise.
function change({ steps: [start] }, step, before) {
  if (before === null || step.stage === start.stage) return NOTHING;
  if (Math.min(start.reached, before.of) < ENOUGH) return t("funnel.few");
  return t("funnel.points", { n: points(step.conversion_from_start - before.conversion_from_start) });
}

function reached(scope, step) {
  return h("a", { class: "count", href: sessionsIn(scope, { reached: step.stage }) }, number(step.reached));
}

// Those who went on are what is left of all who came here once the ones standing here are taken away.
function segmentsOf(scope, { stage, reached: all, active, stalled, failed }) {
  const here = (state) => sessionsIn(scope, { furthest: stage, state });
  return [
    { kind: stage === "completed" ? "completed" : "onward", count: all - active - stalled - failed,
      href: onwardFrom(scope, stage) },
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
      h("span", { class: "figure" }, number(count)), " ", t(count === 1 ? `state.${kind}` : `where.${kind}`)))));
}

function explanation() {
  const points = ["population", "reached", "standing", "times", "change", "past"];
  return h("details", { class: "how" }, h("summary", {}, t("how.title")),
    h("ul", {}, points.map((point) => h("li", {}, t(`how.${point}`)))));
}
