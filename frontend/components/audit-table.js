// The audit log as rows.
import { name, t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { NOTHING } from "../lib/format.js";
import { table } from "./table.js";
import { timeWithAge } from "./time.js";
import { detailTold } from "./told.js";

export function auditTable(lines) {
  return table({ caption: t("audit.title"), rows: lines, keyOf: (row) => row.id, columns: [
    { label: t("failure.at"), cell: (row) => timeWithAge(row.at) },
    { label: t("audit.who"), cell: (row) => [actorOf(row), row.address ? h("span", { class: "id" }, row.address) : null] },
    { label: t("audit.what"), cell: (row) => name("audit", row.action) },
    { label: t("audit.subject"), cell: (row) => [on(row.subject),
      row.detail ? h("bdi", { class: "id" }, detailTold(row)) : null] },
  ] });
}

// "ticket 7": the kind is said in the operator's language.
function on(subject) {
  if (subject === null) return NOTHING;
  const [kind, ...rest] = subject.split(" ");
  return [name("audit", kind === "nobody" ? "unknown" : kind), " ", h("bdi", {}, rest.join(" "))];
}

function actorOf({ actor, actor_kind: kind }) {
  return kind === "user" ? h("bdi", {}, actor) : [t(`audit.${kind}`), kind === "token" ? [" ", h("bdi", {}, actor)] : null];
}
