// Asks for name and password.
import { api } from "../api.js";
import { explainRefusal, headline } from "../components/card.js";
import { nameField, panel, passwordField } from "../components/panel.js";
import { t } from "../i18n/catalog.js";

/** Shown whenever nobody is signed in, at whatever address: that page opens afterwards. `error` tells why, or is null. */
export function signInView({ error: why, draw, onSignedIn }) {
  const state = { message: why && headline(why), trying: false };

  async function submit({ name, password }) {
    Object.assign(state, { trying: true, message: null });
    draw();
    try {
      onSignedIn(await api.signIn({ name: name.value, password: password.value }));
    } catch (error) {
      Object.assign(state, { trying: false, message: error.status === 401 ? t("sign-in.refused") : explainRefusal(error) });
      password.value = "";
      draw();
    }
  }

  return { title: () => t("sign-in.title"), isBare: true, resources: [], render: () =>
    panel({ ...state, title: t("sign-in.title"), submit: t("sign-in.submit"), onsubmit: submit, fields: [
      nameField(), passwordField("password", t("people.password"))] }) };
}
