// Who I am, my password, and the ways out.
import { api } from "../api.js";
import { explainRefusal, outcome } from "../components/card.js";
import { passwordField } from "../components/panel.js";
import { t } from "../i18n/catalog.js";
import { account, setAccount } from "../lib/account.js";
import { h } from "../lib/dom.js";

export function accountView({ draw, signOut }) {
  const state = { message: null, failed: false, saving: false };

  async function change(event) {
    event.preventDefault();
    const form = event.target;
    if (state.saving) return;
    state.saving = true;
    try {
      setAccount(await api.changePassword({ current: form.elements.current.value, new: form.elements.fresh.value }));
      form.reset();
      Object.assign(state, { message: t("account.changed"), failed: false });
    } catch (error) {
      Object.assign(state, { message: explainRefusal(error), failed: true });
    }
    state.saving = false;
    draw();
  }

  return { title: () => t("account.title"), resources: [], render: () =>
    h("div", { class: "stack account", "aria-busy": "false" }, who(signOut),
      account().kind === "user" ? passwordCard(state, change) : null) };
}

function who(signOut) {
  const { name, kind, scope } = account();
  return h("section", { class: "card" },
    h("p", { class: "row" }, h("bdi", { class: "strong" }, name), h("span", { class: "muted" }, t(`scope.${scope}`))),
    h("div", { class: "buttons" },
      h("button", { type: "button", onclick: () => signOut() }, t("sign-out")),
      kind === "user" ? h("button", { type: "button", onclick: () => signOut(true) }, t("account.everywhere")) : null));
}

function passwordCard(state, onsubmit) {
  return h("section", { class: "card" }, h("h2", {}, t("account.password")),
    h("form", { class: "note-form", onsubmit },
      h("input", { name: "name", value: account().name, autocomplete: "username", readonly: true, hidden: true }),
      passwordField("current", t("account.current")),
      passwordField("fresh", t("welcome.password"), true),
      h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, t("account.change"))),
      outcome(state)));
}
