// Keeps the page fresh. A source says when something may have changed; here a clock does.
// A stream source needs only the same face: start(notify) and stop().

/** Notifies every `visibleMs` while the page is seen, every `hiddenMs` while it is not, and at once on return. */
export function pollingSource({ visibleMs = 1000, hiddenMs = 15000 } = {}) {
  let timer = null;
  let notify = null;

  function schedule() {
    clearTimeout(timer);
    timer = setTimeout(tell, document.hidden ? hiddenMs : visibleMs);
  }

  async function tell() {
    clearTimeout(timer);
    await notify?.();
    if (notify !== null) schedule();
  }

  function onVisibility() {
    if (document.hidden) schedule();
    else tell();
  }

  return {
    start(callback) {
      notify = callback;
      document.addEventListener("visibilitychange", onVisibility);
      schedule();
    },
    stop() {
      notify = null;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisibility);
    },
  };
}

/**
 * Runs `refresh` when the source notifies, never twice at once, and keeps the state the page shows in words.
 * `refresh` resolves to true when every load succeeded.
 */
export function createLive(source, refresh, onState) {
  const state = { phase: "connecting", updatedAt: null, paused: false };
  let running = null;

  function set(change) {
    const { phase } = state;
    Object.assign(state, change);
    onState(state, phase);
  }

  async function run() {
    const fresh = await refresh();
    if (fresh === null) return;
    set(fresh ? { phase: "live", updatedAt: Date.now() } : { phase: "reconnecting" });
  }

  function refreshNow() {
    running ??= run().finally(() => { running = null; });
    return running;
  }

  return {
    state,
    refreshNow,
    /** Refreshes after whatever still runs: for a page that has just replaced another. */
    restart: () => Promise.resolve(running).then(refreshNow),
    start: () => source.start(() => (state.paused ? undefined : refreshNow())),
    stop: () => source.stop(),
    toggle() {
      set({ paused: !state.paused });
      if (!state.paused) refreshNow();
    },
  };
}
