// Where a one-time link leads: choose a password (the first operator also a name), and be signed in.
import { api } from "../api.js";
import { explainRefusal, headline } from "../components/card.js";
import { nameField, panel, passwordField } from "../components/panel.js";
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";

export function welcomeView({ secret, draw, onSignedIn }) {
  const state = { target: null, error: null, message: null, trying: false };
  api.link({ link: secret })
    .then((target) => { state.target = target; }, (error) => { state.error = error; })
    .then(draw);

  async function submit({ name, password }) {
    Object.assign(state, { trying: true, message: null });
    draw();
    try {
      const me = await api.redeemLink({ link: secret, name: state.target.name === null ? name.value : null, password: password.value });
      history.replaceState(null, "", `${location.pathname}#/`);
      onSignedIn(me);
    } catch (error) {
      Object.assign(state, { trying: false, message: error.status === 410 ? t("welcome.gone") : explainRefusal(error) });
      draw();
    }
  }

  return { title: () => t("welcome.title"), isBare: true, resources: [], render: () => choosePassword(state, submit) };
}

function choosePassword({ target, error, message, trying }, onsubmit) {
  if (target === null) return notice(error);
  const { name } = target;
  return panel({ message, trying, title: t("welcome.title"), onsubmit, submit: t("welcome.submit"),
    intro: t(name === null ? "welcome.first" : "welcome.hello", { name }),
    fields: [nameField(name, { readonly: name !== null }), passwordField("password", t("welcome.password"), true)] });
}

function notice(error) {
  const text = error === null ? t("loading") : error.status === 410 || error.status === 422 ? t("welcome.gone") : headline(error);
  return h("main", { class: "sign-in" }, h("h1", { tabindex: "-1" }, t("welcome.title")), h("p", { role: "status" }, text),
    error === null ? null : h("p", {}, h("a", { href: "#/" }, t("sign-in.title"))));
}
