// Says why a list is empty: nothing has come yet, or the filters leave nothing.
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { address } from "../lib/router.js";
import { empty } from "./card.js";
import { testEvents } from "./copy-line.js";
import { filtersIn } from "./fields.js";
import { totalLine } from "./pager.js";

/** For the list of this kind ("sessions", "events", "tickets") at `path`. */
export function nothing(kind, query, path) {
  if (filtersIn(query) === 0) return empty(t(`${kind}.none`), testEvents());
  return [totalLine(kind, 0), empty(t(`${kind}.empty`), h("p", {}, h("a", { href: address(path) }, t("filter.clear"))))];
}
