// Says how many there are and leads to the next page; the browser's own "back" leads to the previous one.
import { plural, t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { address } from "../lib/router.js";

/** Total above a list. */
export function totalLine(kind, total) {
  return h("p", { class: "total" }, plural(`count.${kind}`, total));
}

/** Links to the first and the next page; `parameter` is the query's name for the position. */
export function pager({ path, query, answer, shown, parameter = "cursor" }) {
  const first = query.has(parameter);
  if (!first && answer.next_cursor === null) return null;
  const params = grouped(query, parameter);
  return h("nav", { class: "pager", "aria-label": t("pager.label") },
    first ? h("a", { class: "button", href: address(path, params) }, t("pager.first")) : null,
    answer.total === null ? null
      : h("span", { class: "muted" }, t("pager.shown", { shown: number(shown), total: number(answer.total) })),
    answer.next_cursor === null ? null
      : h("a", { class: "button", href: address(path, { ...params, [parameter]: answer.next_cursor }) }, t("pager.next")));
}

function grouped(query, without) {
  const params = {};
  for (const name of new Set(query.keys())) if (name !== without) params[name] = query.getAll(name);
  return params;
}
