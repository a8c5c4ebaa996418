// Tables that become stacked cards on a narrow screen: the roles keep them tables for assistive technology.
import { h } from "../lib/dom.js";
import { heldList, holdRows } from "./held-rows.js";

/**
 * @param caption  what the table lists, read out by screen readers
 * @param columns  [{label, cell(row), className?}], false for none; the first one heads the row
 * @param keyOf    a stable key for each row
 * @param holds    false where rows only come and go by what the operator does in the table itself
 */
export function table({ caption, columns, rows, keyOf, holds = true }) {
  if (!holds) return plainTable({ caption, columns, rows, keyOf });
  const held = holdRows(caption, rows, keyOf);
  return heldList(caption, held.waiting, plainTable({ caption, columns, rows: held.rows, keyOf }));
}

function plainTable({ caption, columns: wanted, rows, keyOf }) {
  const columns = wanted.filter(Boolean);
  return h("table", { class: "list", role: "table", "data-key": "table" },
    h("caption", { class: "visually-hidden" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      columns.map(({ label, className }) => h("th", { scope: "col", role: "columnheader", class: className }, label)))),
    h("tbody", { role: "rowgroup" }, rows.map((row) =>
      h("tr", { role: "row", "data-key": keyOf(row) }, columns.map((column, index) => cellOf(column, row, index))))));
}

function cellOf({ label, cell, className }, row, index) {
  const heads = index === 0;
  const props = { role: heads ? "rowheader" : "cell", scope: heads ? "row" : null, class: className, "data-label": label };
  return h(heads ? "th" : "td", props, h("div", { class: "cell" }, cell(row)));
}
