// Users and API tokens as rows, with what an administrator can do to each.
import { t } from "../i18n/catalog.js";
import { SCOPES, account } from "../lib/account.js";
import { h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { choices, selectField } from "./fields.js";
import { table } from "./table.js";
import { timeWithAge } from "./time.js";

const ROLES = ["viewer", "agent", "admin"];

/** `on` has an action for each button: role, disable, link, end. */
export function userTable(users, on) {
  return table({ caption: t("people.users"), rows: users, keyOf: (row) => row.id, holds: false, columns: [
    { label: t("people.name"), cell: (row) => [h("bdi", { class: "strong" }, row.name),
      row.name === account().name ? h("span", { class: "muted" }, ` ${t("people.me")}`) : null] },
    { label: t("people.role"), cell: (row) => h("select", { "aria-label": t("people.role-of", row),
      onchange: ({ target }) => {
        const { value } = target;
        // What stands is shown until the change is made: it may be refused.
        target.value = row.role;
        on.role(row, value);
      } },
    ROLES.map((role) => h("option", { value: role, selected: role === row.role }, t(`role.${role}`)))) },
    { label: t("ticket.status"), cell: (row) => t(`people.${row.state}`) },
    { label: t("people.sessions"), cell: (row) => number(row.sessions) },
    { label: t("people.actions"), cell: (row) => h("div", { class: "buttons" },
      // What comes and goes stands last: no button moves under the pointer, or turns into another.
      action(row.state === "disabled" ? "people.enable" : "people.disable", row, on.disable),
      row.state === "disabled" ? null : action("people.new-link", row, on.link),
      row.sessions === 0 ? null : action("people.end", row, on.end)) },
  ] });
}

export function tokenTable(tokens, revoke) {
  return table({ caption: t("people.tokens"), rows: tokens, keyOf: (row) => row.id, holds: false, columns: [
    { label: t("people.name"), cell: (row) => h("bdi", {}, row.name) },
    { label: t("people.scope"), cell: (row) => t(`scope.${row.scope}`) },
    { label: t("people.created"), cell: (row) => timeWithAge(row.created_at) },
    { label: t("people.actions"), cell: (row) => action("people.revoke", row, revoke) },
  ] });
}

export const roleField = () => selectField("role", t("people.role"), "viewer", choices("role", ROLES));
export const scopeField = () => selectField("scope", t("people.scope"), "read", choices("scope", SCOPES));

function action(key, row, run) {
  return h("button", { type: "button", class: "quiet", "data-key": key, "aria-label": `${t(key)}: ${row.name}`, onclick: () => run(row) }, t(key));
}
