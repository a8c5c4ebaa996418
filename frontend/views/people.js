// Administrators: who may sign in, API tokens, and what everybody did.
import { api } from "../api.js";
import { auditTable } from "../components/audit-table.js";
import { card, empty, explainRefusal } from "../components/card.js";
import { copyLine } from "../components/copy-line.js";
import { nameField } from "../components/panel.js";
import { pager } from "../components/pager.js";
import { roleField, scopeField, tokenTable, userTable } from "../components/people-tables.js";
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { resource } from "../lib/resource.js";

export function peopleView({ query, draw }) {
  // The stream tells nothing of people; each connection anew, about every minute, loads them.
  const untold = { concerns: () => false };
  const users = resource((signal) => api.users({}, signal), untold);
  const tokens = resource((signal) => api.tokens({}, signal), untold);
  const audit = resource((signal) => api.audit(query, signal), untold);
  const outcome = { users: {}, tokens: {} };
  let running = false;

  /** Runs an action, tells how it went beside `list`, empties its `form`, and shows what has become of everything. */
  async function run(list, action, tell = () => ({}), form = null) {
    if (running) return;
    running = true;
    try {
      outcome[list] = tell(await action());
      form?.reset();
    } catch (error) {
      outcome[list] = { message: explainRefusal(error) };
    }
    running = false;
    draw();
    await Promise.all([users, tokens, audit].map((one) => one.refresh()));
    draw();
  }

  const link = ({ path }) => ({ text: t("people.link"), secret: `${location.origin}${path}` });
  const onUser = {
    role: (user, role) => run("users", () => api.changeUser(user.id, { role })),
    disable: (user) => run("users", () => api.changeUser(user.id, { disabled: user.state !== "disabled" })),
    link: (user) => run("users", () => api.renewLink(user.id), link),
    end: (user) => run("users", () => api.endSessions(user.id)),
  };
  const invite = (filled, form) => run("users", () => api.inviteUser(filled), link, form);
  const create = (filled, form) => run("tokens", () => api.createToken(filled),
    ({ token }) => ({ text: t("people.token"), secret: token }), form);
  const revoke = (token) => run("tokens", () => api.revokeToken(token.id));

  return {
    title: () => t("nav.people"),
    resources: [users, tokens, audit],
    render: () => h("div", { class: "stack" },
      card({ id: "users", title: t("people.users"), resource: users, body: (data) => [
        data.users.length === 0 ? empty(t("people.nobody")) : userTable(data.users, onUser),
        result(outcome.users), form(t("people.invite"), roleField(), invite)] }),
      card({ id: "tokens", title: t("people.tokens"), resource: tokens, body: (data) => [
        data.tokens.length === 0 ? empty(t("people.no-token")) : tokenTable(data.tokens, revoke),
        result(outcome.tokens), form(t("people.create"), scopeField(), create)] }),
      card({ id: "audit", title: t("audit.title"), resource: audit, body: (data) => [
        auditTable(data.lines), pager({ path: "/people", query, answer: data, shown: data.lines.length })] })),
  };
}

function form(label, choice, action) {
  const onsubmit = (event) => {
    event.preventDefault();
    action(Object.fromEntries(new FormData(event.target)), event.target);
  };
  return h("form", { class: "ticket-form people-form", "aria-label": label, onsubmit },
    nameField(null, { autocomplete: "off" }), choice,
    h("div", { class: "buttons" }, h("button", { type: "submit" }, label)));
}

function result({ message = null, text = null, secret = null }) {
  return h("div", { role: "status", class: "result" },
    message === null ? null : h("p", { class: "message message-bad" }, message),
    secret === null ? null : [h("p", {}, text), copyLine(secret)]);
}
