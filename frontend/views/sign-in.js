// Asks for an API token, tries it, and keeps it for this tab.
import { api } from "../api.js";
import { explainRefusal } from "../components/card.js";
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { dropToken, keepToken } from "../lib/credentials.js";

/** Shown whenever there is no token, and after the service refused one. */
export function signInView({ expired, draw, onSignedIn }) {
  const state = { message: expired ? t("sign-in.expired") : null, trying: false };

  async function submit(event) {
    event.preventDefault();
    const value = event.target.elements.token.value.trim();
    if (value === "" || state.trying) return;
    state.trying = true;
    state.message = await refusalOf(value);
    state.trying = false;
    if (state.message === null) {
      keepToken(value);
      onSignedIn();
    } else draw();
  }

  return { title: () => t("sign-in.title"), isBare: true, resources: [], render: () => form(state, submit) };
}

async function refusalOf(value) {
  keepToken(value);
  try {
    await api.tickets({ limit: 1 });
    return null;
  } catch (error) {
    return error.status === 401 ? t("sign-in.refused") : explainRefusal(error);
  } finally {
    dropToken();
  }
}

function form(state, onsubmit) {
  return h("main", { class: "sign-in" },
    h("div", { class: "brand" }, h("span", { class: "brand-mark", "aria-hidden": "true" }), t("brand")),
    h("h1", { tabindex: "-1" }, t("sign-in.title")),
    h("form", { onsubmit },
      h("label", { class: "field" }, h("span", {}, t("sign-in.token")),
        h("input", { type: "password", name: "token", required: true, autocomplete: "current-password",
          spellcheck: "false", "aria-describedby": "sign-in-hint" })),
      h("p", { id: "sign-in-hint", class: "muted" }, t("sign-in.hint"), " ",
        h("code", {}, "ops-service token create --name me --scope write")),
      h("p", { class: "message message-bad", role: "alert" }, state.message),
      h("button", { type: "submit", class: "primary" }, t("sign-in.submit"))));
}
