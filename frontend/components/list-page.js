// A view that is one list, filtered by its address.
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { resource } from "../lib/resource.js";
import { address } from "../lib/router.js";
import { content, empty } from "./card.js";
import { testEvents } from "./copy-line.js";
import { csvButton } from "./csv-button.js";
import { filtersIn } from "./fields.js";
import { pager, totalLine } from "./pager.js";

/**
 * @param kind      "sessions", "events", "tickets": names the texts, the address and the answer's member
 * @param asked     the query for the service
 * @param filters   () => what stands above the list
 * @param list      (data) => the rows
 * @param concerns  which messages of the stream change it
 * @param position  the query's name for the place of the page
 */
export function listPage({ kind, query, asked = query, load, csv, filters, list, concerns, draw, position }) {
  const path = `/${kind}`;
  const whole = new URLSearchParams(asked);
  for (const place of ["cursor", "after", "limit"]) whole.delete(place);
  const loaded = resource((signal) => load(asked, signal), { concerns });
  const rows = (data) => {
    const found = data[kind].length;
    if (!found && data.next_cursor === null) return nothing(kind, query, path);
    return [data.total === null ? null : totalLine(kind, data.total), found ? list(data) : empty(t("list.on")),
      pager({ path, query, answer: data, shown: found, parameter: position })];
  };
  return {
    title: () => t(`nav.${kind}`),
    resources: [loaded],
    actions: csvButton({ path: csv, params: whole, draw }),
    render: () => h("div", {}, filters(), content({ resource: loaded, body: rows })),
  };
}

// Nothing has come yet, or the filters leave nothing.
function nothing(kind, query, path) {
  if (filtersIn(query) === 0) return empty(t(`${kind}.none`), testEvents());
  return [totalLine(kind, 0), empty(t("list.empty"), h("p", {}, h("a", { href: address(path) }, t("filter.clear"))))];
}
