// Wires the page: route to view, live source to refresh, state to what is drawn.
import { api } from "./api.js";
import { announce } from "./components/announcer.js";
import { explainRefusal } from "./components/card.js";
import { shell } from "./components/shell.js";
import { installShortcuts } from "./components/shortcuts.js";
import { loadCatalog, t } from "./i18n/catalog.js";
import { account, dropToken, isToBeAsked, setAccount, takeTokenFromAddress } from "./lib/account.js";
import { createLive } from "./lib/live.js";
import { morph } from "./lib/morph.js";
import { applyTheme } from "./lib/preferences.js";
import { currentRoute } from "./lib/router.js";
import { createSharedStream } from "./lib/shared-stream.js";
import { TIMING } from "./lib/timing.js";
import { viewFor } from "./views/routes.js";
import { signInView } from "./views/sign-in.js";
import { welcomeView } from "./views/welcome.js";

const root = document.getElementById("app");
const createStream = (listeners) => createSharedStream({ open: api.stream, ...listeners });
const live = createLive({ createStream, refresh: refreshView, onState: onLiveState });
let route = currentRoute();
let view = null;
let aborter = new AbortController();
// Why the form for signing in is shown, if not by the operator's wish.
let signedOutBy = null;

function draw() {
  document.title = `${view.title()} · Ops`;
  const page = view.isBare ? view.render() : shell({ route, live, view, draw, signOut });
  morph(root, [page]);
}

function openRoute() {
  aborter.abort();
  aborter = new AbortController();
  route = currentRoute();
  view = bareView() ?? openView();
  root.replaceChildren();
  if (view.isBare) live.stop();
  else live.start();
  draw();
  root.querySelector("h1").focus({ preventScroll: true });
  return live.restart();
}

function bareView() {
  if (route.segments[0] === "welcome") return welcomeView({ secret: route.segments[1] ?? "", draw, onSignedIn: become });
  return account() === null ? signInView({ error: signedOutBy, draw, onSignedIn: become }) : null;
}

function openView() {
  const opened = viewFor(route)({ route, query: route.query, draw, signOut });
  for (const one of opened.resources) one.onLoaded = () => drawIf(opened);
  return opened;
}

/** Loads what the messages concern; true when all of it came, null when the view was left meanwhile. */
async function refreshView(messages) {
  const current = view;
  await Promise.all(current.resources.map((one) => one.follow(messages, aborter.signal)));
  if (current !== view) return null;
  return current.resources.every((one) => one.error === null || isAnswer(one.error));
}

// A refusal is an answer; silence and a failing service are not.
function isAnswer({ status }) {
  return status !== 0 && status < 500;
}

function drawIf(current) {
  if (current === view) draw();
}

async function signOut(everywhere = false) {
  try {
    if (account().kind === "user") await api.signOut(everywhere);
  } catch (error) {
    if (error.status !== 401) return alert(explainRefusal(error));
  }
  return become(null);
}

function become(me, why = null) {
  signedOutBy = why;
  dropToken();
  setAccount(me);
  openRoute();
}

/** Asks the service who we are, until it answers. */
async function recallAccount() {
  try {
    setAccount(await api.me());
    signedOutBy = null;
  } catch (error) {
    signedOutBy = error;
    if (error.status === 401) {
      dropToken();
      setAccount(null);
    } else setTimeout(reopen, TIMING.retry);
  }
}

async function reopen() {
  if (!isToBeAsked()) return;
  const before = account();
  await recallAccount();
  if (account() !== before) openRoute();
}

function onLiveState(state, previousPhase) {
  if (state.phase === "reconnecting" && previousPhase !== "reconnecting") announce(t("live.lost"));
  if (isCurrent(state.phase) && previousPhase === "reconnecting") announce(t("live.back"));
  draw();
}

function isCurrent(phase) {
  return phase === "live" || phase === "polling";
}

async function onNavigation() {
  const place = history.state;
  if (takeTokenFromAddress()) await recallAccount();
  const loading = openRoute();
  scrollTo(0, 0);
  // Back, or forward: to where one was, once there is something.
  const opened = view;
  await loading;
  if (place > 0 && opened === view) scrollTo(0, place);
}

applyTheme();
takeTokenFromAddress();
await Promise.all([loadCatalog(), isToBeAsked() && recallAccount()]);
window.addEventListener("hashchange", onNavigation);
window.addEventListener("storage", reopen); // somebody may have signed in from another tab
window.addEventListener("signed-out", () => become(null, { status: 401 }));
history.scrollRestoration = "manual"; // the browser would try before anything is there
window.addEventListener("scrollend", () => history.replaceState(scrollY, ""));
root.addEventListener("redraw", () => draw());
installShortcuts(live.toggle);
openRoute();

