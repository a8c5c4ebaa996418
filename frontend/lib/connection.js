// Keeps one stream open, and resumes after every cut from where it had come.
import { TIMING } from "./timing.js";

/**
 * @param open       (position, signal) => Promise of a response; rejects when it is refused
 * @param onMessage  called with each message
 * @param onState    called with "connected", with "up" at every sign of life, with "down" at every cut
 */
export function createConnection({ open, onMessage, onState }) {
  let aborter = null;

  async function run(position, signal) {
    let failures = 0;
    while (!signal.aborted) {
      const began = performance.now();
      const ended = await once().catch(() => false);
      if (signal.aborted) return;
      // The service ends each stream after a minute, to look at the credentials again: that is no failure.
      failures = ended && performance.now() - began > TIMING.shortest ? 0 : failures + 1;
      if (failures === 0) continue;
      onState("down");
      await pause(backoff(failures), signal);
    }

    async function once() {
      const attempt = new AbortController();
      const silence = watchdog(() => attempt.abort());
      try {
        const response = await open(position, AbortSignal.any([signal, attempt.signal]));
        failures = 0;
        onState("connected");
        await readEventStream(response.body, {
          onLife: () => { silence.reset(); onState("up"); },
          onMessage(message) {
            position = message.id ?? position;
            onMessage(message);
          },
        });
        return true;
      } finally {
        silence.stop();
      }
    }
  }

  return {
    /** Connects; what comes after `position` is told, null for only what is new. */
    start(position) {
      if (aborter !== null) return;
      aborter = new AbortController();
      run(position, aborter.signal);
    },
    stop() {
      aborter?.abort();
      aborter = null;
    },
  };
}

function watchdog(bark) {
  let timer = setTimeout(bark, TIMING.silence);
  return {
    reset() {
      clearTimeout(timer);
      timer = setTimeout(bark, TIMING.silence);
    },
    stop: () => clearTimeout(timer),
  };
}

// Browsers that lost the same service shall not all come back in the same moment.
function backoff(failures) {
  const longest = Math.min(TIMING.backoff * 2 ** (failures - 1), TIMING.longestBackoff);
  return longest * (0.5 + Math.random() / 2);
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

// The browser's own reader of server-sent events could not send the token.
/** Calls `onMessage({kind, id, data})` for each message and `onLife` whenever anything comes, until the body ends. */
async function readEventStream(body, { onMessage, onLife }) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onLife();
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const message of blocks.map(parse)) if (message !== null) onMessage(message);
  }
}

function parse(block) {
  const fields = Object.fromEntries(block.split("\n").map(nameAndValue));
  if (fields.data === undefined) return null;
  return { kind: fields.event, id: fields.id === undefined ? null : Number(fields.id), data: JSON.parse(fields.data) };
}

function nameAndValue(line) {
  const colon = line.indexOf(": ");
  return [line.slice(0, colon), line.slice(colon + 2)];
}
