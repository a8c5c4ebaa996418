// Something loaded from the service and kept fresh: the last good data, the last error, and when each came.

/**
 * The returned object's `onLoaded`, when set, is called after each load, good or bad.
 *
 * @param load     (signal) => Promise of the data
 * @param minimum  milliseconds between two loads on a tick; `refresh()` ignores it
 * @param changed  returns a value; a tick loads at once when it differs from the one of the last load
 */
export function resource(load, { minimum = 0, changed = () => null } = {}) {
  const state = { data: null, error: null, loadedAt: null, onLoaded: null, refresh, tick };
  let pending = null;
  let seen = null;
  let triedAt = -Infinity;

  /** Loads anew, after a load that already runs: that one may have begun before what the caller wants to see. */
  function refresh(signal) {
    return Promise.resolve(pending).then(() => once(signal));
  }

  function once(signal) {
    pending ??= run(signal).finally(() => { pending = null; });
    return pending;
  }

  async function run(signal) {
    seen = changed();
    triedAt = Date.now();
    try {
      state.data = await load(signal);
      state.error = null;
      state.loadedAt = Date.now();
    } catch (error) {
      if (error.name === "AbortError") return;
      state.error = error;
    }
    state.onLoaded?.();
  }

  function tick(signal) {
    const due = state.error !== null || Date.now() - triedAt >= minimum || changed() !== seen;
    return due ? once(signal) : Promise.resolve();
  }

  return state;
}
