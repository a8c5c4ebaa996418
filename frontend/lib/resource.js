// Something loaded from the service and kept fresh: the last good data, the last error, and when each came.

/**
 * The returned object's `onLoaded`, when set, is called after each load, good or bad.
 *
 * @param load      (signal) => Promise of the data
 * @param concerns  (message) => whether a message of the live stream means that the data has changed
 * @param constant  true for what never changes once it is there
 */
export function resource(load, { concerns = () => true, constant = false } = {}) {
  const state = { data: null, error: null, loadedAt: null, onLoaded: null, refresh, follow };
  let pending = null;

  /** Loads anew, after a load that already runs: that one may have begun before what the caller wants to see. */
  function refresh(signal) {
    return Promise.resolve(pending).then(() => once(signal));
  }

  function once(signal) {
    pending ??= run(signal).finally(() => { pending = null; });
    return pending;
  }

  async function run(signal) {
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

  /** Loads when one of the messages concerns this, or when there was trouble; null stands for any message. */
  function follow(messages, signal) {
    const isDue = messages === null ? !(constant && state.data !== null) : messages.some(concerns);
    return isDue || state.error !== null ? refresh(signal) : Promise.resolve();
  }

  return state;
}

// Which messages of the stream mean that something shown has changed:

/** What is made of the log alone. */
export const byEvents = ({ kind }) => kind === "event";

/** Tickets follow their sessions, and operators change them. */
export const byEventsAndTickets = ({ kind }) => kind !== "service";

/** What the service says about itself. */
export const byEventsAndService = ({ kind }) => kind !== "ticket";

/** Rebuilds, quarantine, refused deliveries. */
export const byService = ({ kind }) => kind === "service";

/** One session, by a function giving its id; what is quarantined shows in it, too. */
export const bySession = (idOf) => ({ kind, data }) => kind === "service" || data.session_id === idOf();
