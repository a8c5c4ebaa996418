// Keeps the page fresh: refreshes what a message concerns, everything after a gap, and asks at intervals while
// there is no stream. Keeps the state the page shows in words.
import { TIMING } from "./timing.js";

const MOST_MESSAGES = 200;

/**
 * @param createStream  given {onMessage, onState}, returns {start, stop}
 * @param refresh       (messages) => true when every load succeeded, null when the page was left meanwhile;
 *                      `messages` is null when everything may have changed
 * @param onState       called with the state and the previous phase whenever it changed
 */
export function createLive({ createStream, refresh, onState }) {
  const state = { phase: "connecting", updatedAt: null, rebuiltAt: null, paused: false };
  const stream = createStream({ onMessage, onState: onStream });
  let isUp = false;
  let isStarted = false;
  let waiting = [];
  let running = null;
  let lastRun = -Infinity; // by the clock that nobody sets
  let gapTimer = null;
  let pollTimer = null;
  let retryTimer = null;

  function set(change) {
    const { phase } = state;
    Object.assign(state, change);
    onState(state, phase);
  }

  function onMessage(message) {
    const isRebuild = message.kind === "service" && message.data.changed.includes("rebuilt");
    if (isRebuild) state.rebuiltAt = Date.now();
    if (isRebuild || message.kind === "resync") refreshAll();
    else note(message);
  }

  function onStream(now) {
    isUp = now === "up";
    clearTimeout(pollTimer);
    if (isUp) refreshAll();
    else {
      set({ phase: "reconnecting" });
      pollTimer = setTimeout(poll, TIMING.firstPoll);
    }
  }

  function poll() {
    pollTimer = setTimeout(poll, TIMING.poll);
    refreshAll();
  }

  function note(message) {
    waiting = waiting === null || waiting.length >= MOST_MESSAGES ? null : [...waiting, message];
    schedule();
  }

  function refreshAll() {
    waiting = null;
    schedule();
  }

  // A hidden or paused page only remembers what it would have to load.
  function isAsleep() {
    return !isStarted || state.paused || document.hidden;
  }

  function schedule() {
    if (isAsleep() || gapTimer !== null) return;
    gapTimer = setTimeout(() => {
      gapTimer = null;
      Promise.resolve(running).then(() => isAsleep() || refreshWaiting());
    }, Math.max(0, lastRun + TIMING.refreshGap - performance.now()));
  }

  function refreshWaiting() {
    if (waiting?.length === 0) return running;
    const messages = waiting;
    waiting = [];
    lastRun = performance.now();
    running ??= run(messages).finally(() => { running = null; });
    return running;
  }

  async function run(messages) {
    const fresh = await refresh(messages);
    if (fresh === null) return;
    if (fresh) set({ phase: isUp ? "live" : phaseWithoutStream(), updatedAt: Date.now() });
    else {
      set({ phase: "reconnecting" });
      clearTimeout(retryTimer);
      retryTimer = setTimeout(refreshAll, TIMING.retry);
    }
  }

  // Before the first word of the stream the page is still connecting; afterwards it lives by asking.
  function phaseWithoutStream() {
    return state.phase === "connecting" ? "connecting" : "polling";
  }

  function onVisibility() {
    if (waiting?.length !== 0) schedule();
  }

  return {
    state,
    /** Loads everything, whatever still runs for the page that this one has replaced. */
    restart() {
      waiting = null;
      running = null;
      return refreshWaiting();
    },
    start() {
      if (isStarted) return;
      isStarted = true;
      document.addEventListener("visibilitychange", onVisibility);
      stream.start();
    },
    /** For a page without anything to keep fresh. */
    stop() {
      isStarted = false;
      isUp = false;
      clearTimeout(pollTimer);
      document.removeEventListener("visibilitychange", onVisibility);
      stream.stop();
      Object.assign(state, { phase: "connecting", updatedAt: null, rebuiltAt: null });
    },
    toggle() {
      set({ paused: !state.paused });
      if (!state.paused) refreshAll();
    },
  };
}
