// Wires the page: route to view, live source to refresh, state to what is drawn.
import { api } from "./api.js";
import { announce } from "./components/announcer.js";
import { shell } from "./components/shell.js";
import { loadCatalog, t } from "./i18n/catalog.js";
import { dropToken, takeTokenFromAddress, token } from "./lib/credentials.js";
import { createLive } from "./lib/live.js";
import { morph } from "./lib/morph.js";
import { applyTheme } from "./lib/preferences.js";
import { currentRoute } from "./lib/router.js";
import { createSharedStream } from "./lib/shared-stream.js";
import { viewFor } from "./views/routes.js";
import { signInView } from "./views/sign-in.js";

const root = document.getElementById("app");
const createStream = (listeners) => createSharedStream({ open: api.stream, ...listeners });
const live = createLive({ createStream, refresh: refreshView, onState: onLiveState });
let route = currentRoute();
let view = null;
let aborter = new AbortController();
let expired = false;

function draw() {
  document.title = `${view.title()} · Ops`;
  const page = view.isBare ? view.render() : shell({ route, live, view, draw, signOut });
  morph(root, [page]);
}

function openRoute() {
  takeTokenFromAddress();
  aborter.abort();
  aborter = new AbortController();
  route = currentRoute();
  view = token() === null ? signInView({ expired, draw, onSignedIn: openRoute }) : openView();
  root.replaceChildren();
  if (view.isBare) live.stop();
  else live.start();
  draw();
  live.restart();
}

function openView() {
  expired = false;
  const opened = viewFor(route)({ route, query: route.query, draw });
  for (const one of opened.resources) one.onLoaded = () => drawIf(opened);
  return opened;
}

/** Loads what the messages concern; true when all of it came, null when the view was left meanwhile. */
async function refreshView(messages) {
  const current = view;
  await Promise.all(current.resources.map((one) => one.follow(messages, aborter.signal)));
  if (current !== view) return null;
  if (current.resources.some((one) => one.error?.status === 401)) return endSession();
  return current.resources.every((one) => one.error === null || isAnswer(one.error));
}

// A refusal is an answer; silence and a failing service are not.
function isAnswer({ status }) {
  return status !== 0 && status < 500;
}

function drawIf(current) {
  if (current === view) draw();
}

function endSession() {
  expired = true;
  signOut();
  return null;
}

function signOut() {
  dropToken();
  openRoute();
}

function onLiveState(state, previousPhase) {
  if (state.phase === "reconnecting" && previousPhase !== "reconnecting") announce(t("live.lost"));
  if (isCurrent(state.phase) && previousPhase === "reconnecting") announce(t("live.back"));
  draw();
}

function isCurrent(phase) {
  return phase === "live" || phase === "polling";
}

function onNavigation() {
  openRoute();
  window.scrollTo(0, 0);
  root.querySelector("h1")?.focus({ preventScroll: true });
}

await loadCatalog();
applyTheme();
takeTokenFromAddress();
window.addEventListener("hashchange", onNavigation);
root.addEventListener("redraw", () => draw());
openRoute();

