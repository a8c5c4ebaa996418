// What surrounds each view: navigation, the state of the live connection, the operator's choices.
import { LANGUAGES, currentLanguage, t, useLanguage } from "../i18n/catalog.js";
import { account, may } from "../lib/account.js";
import { h } from "../lib/dom.js";
import { clock, zoneName } from "../lib/format.js";
import { applyTheme, preference, setPreference } from "../lib/preferences.js";
import { showShortcuts } from "./shortcuts.js";

const SECTIONS = [["dashboard", "#/"], ["tickets", "#/tickets"], ["sessions", "#/sessions"], ["events", "#/events"],
  ["health", "#/health"]];

/** The whole page around `view`. */
export function shell({ route, live, view, draw, signOut }) {
  return h("div", { class: "shell" },
    h("a", { class: "skip", href: "#main", onclick: skipToMain }, t("nav.skip")),
    h("header", { class: "top" },
      h("a", { class: "brand", href: "#/" }, t("brand")),
      navigation(route),
      liveLine(live),
      h("a", { class: "account-link", href: "#/account", "aria-current": route.segments[0] === "account" ? "page" : null },
        h("span", { class: "visually-hidden" }, t("account.title"), ": "), h("bdi", {}, account().name))),
    h("main", { id: "main", tabindex: "-1" },
      h("div", { class: "title-row" }, h("h1", { tabindex: "-1" }, view.title()), view.actions?.() ?? null),
      view.render()),
    footer({ draw, signOut }));
}

function navigation(route) {
  const here = route.segments[0] ?? "dashboard";
  return h("nav", { "aria-label": t("nav.label") },
    h("ul", {}, [...SECTIONS, ...(may("admin") ? [["people", "#/people"]] : [])].map(([section, href]) =>
      h("li", {}, h("a", { href, "aria-current": section === here ? "page" : null }, t(`nav.${section}`))))));
}

function liveLine(live) {
  const { phase, updatedAt, rebuiltAt, paused } = live.state;
  const shown = paused ? "paused" : phase;
  return h("div", { class: `live live-${shown}` },
    h("span", { class: "live-state" }, t(`live.${shown}`)),
    updatedAt === null ? null : h("span", { class: "live-time" }, t("live.updated", { time: clock(updatedAt) })),
    rebuiltAt === null ? null : h("span", { class: "live-rebuilt" }, t("live.rebuilt", { time: clock(rebuiltAt) })),
    h("button", { type: "button", class: "quiet", onclick: live.toggle }, t(paused ? "live.resume" : "live.pause")));
}

function footer({ draw, signOut }) {
  const choose = (name) => (value) => {
    setPreference(name, value);
    applyTheme();
    draw();
  };
  return h("footer", { class: "bottom" },
    choice("language", currentLanguage(), LANGUAGES, (value) => useLanguage(value).then(draw)),
    choice("theme", preference("theme"), ["auto", "light", "dark"], choose("theme")),
    choice("zone", preference("zone"), ["local", "utc"], choose("zone")),
    h("span", { class: "muted" }, t("zone.shown", { zone: zoneName() })),
    h("button", { type: "button", class: "quiet", onclick: showShortcuts }, t("keys.title")),
    h("button", { type: "button", class: "quiet", onclick: () => signOut() }, t("sign-out")));
}

function choice(group, chosen, values, onChoose) {
  const onchange = (event) => onChoose(event.target.value);
  return h("label", { class: "choice" }, h("span", {}, t(`${group}.label`)),
    h("select", { name: group, onchange },
      values.map((value) => h("option", { value, selected: value === chosen }, t(`${group}.${value}`)))));
}

// The hash is the address of the view, so the skip link moves focus itself.
function skipToMain(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}
