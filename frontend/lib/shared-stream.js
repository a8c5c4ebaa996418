// One connection per browser: the tab that holds a lock has it and tells the others what comes. When that tab
// closes, the browser gives the lock to another, which goes on from the last message it heard.
import { createConnection } from "./connection.js";
import { TIMING } from "./timing.js";

const NAME = "ops.live";

/** Has the face of a connection: `onMessage` gets each message once, `onState` "up" at every connection and "down" at every cut. */
export function createSharedStream({ open, onMessage, onState }) {
  let position = null;
  let state = null;
  let channel = null;
  let leaving = null;
  let silence = null;
  const connection = createConnection({ open, onMessage: tell, onState: tellState });

  function tell(message) {
    channel?.postMessage({ message });
    hear(message);
  }

  function tellState(now) {
    channel?.postMessage({ state: now });
    hearState(now);
  }

  function hear(message) {
    // While one tab takes over from another, both may tell.
    if (message.kind === "event" && position !== null && message.id <= position) return;
    position = message.id ?? position;
    onMessage(message);
  }

  function hearState(now) {
    watchSilence();
    const before = state;
    state = now === "down" ? "down" : "up";
    if (now === "connected" || state !== before) onState(state);
  }

  // The tab that has the connection may be frozen.
  function watchSilence() {
    clearTimeout(silence);
    silence = setTimeout(() => hearState("down"), TIMING.silence);
  }

  function onChannel({ data }) {
    if (data.message) hear(data.message);
    else if (data.state) hearState(data.state);
    else if (leaving.leading && state !== null) channel.postMessage({ state });
  }

  function lead(signal) {
    leaving.leading = true;
    connection.start(position);
    return new Promise((resolve) => { signal.addEventListener("abort", resolve, { once: true }); });
  }

  // Without locks (the page came by plain HTTP), each tab connects for itself, and only while it is seen: a
  // browser has few connections to one host.
  function onVisibility() {
    if (document.hidden) connection.stop();
    else connection.start(position);
  }

  return {
    start() {
      if (leaving !== null) return;
      leaving = new AbortController();
      if (navigator.locks === undefined) {
        document.addEventListener("visibilitychange", onVisibility, { signal: leaving.signal });
        onVisibility();
        return;
      }
      channel = new BroadcastChannel(NAME);
      channel.onmessage = onChannel;
      channel.postMessage({});
      watchSilence();
      const { signal } = leaving;
      navigator.locks.request(NAME, { signal }, () => lead(signal)).catch(() => {});
    },
    stop() {
      leaving?.abort();
      leaving = null;
      connection.stop();
      clearTimeout(silence);
      channel?.close();
      channel = null;
      state = null;
    },
  };
}
