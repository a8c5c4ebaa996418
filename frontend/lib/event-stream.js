// Reads server-sent events from a response's body: the browser's own reader of them could not send the token.

/** Calls `onMessage({kind, id, data})` for each message and `onLife` whenever anything comes, until the body ends. */
export async function readEventStream(body, { onMessage, onLife }) {
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
  const fields = Object.fromEntries(block.split("\n").map(field));
  if (fields.data === undefined) return null;
  return { kind: fields.event, id: fields.id === undefined ? null : Number(fields.id), data: JSON.parse(fields.data) };
}

function field(line) {
  const colon = line.indexOf(": ");
  return [line.slice(0, colon), line.slice(colon + 2)];
}
