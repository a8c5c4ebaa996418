// What operators have typed about tickets and not sent yet: it outlives the view, and a session that ends.
import { account } from "./account.js";

const kept = new Map();

/** The operator's own {note, draft, base} for a ticket, to be changed in place; gone when the page is. */
export function unsentFor(ticketId) {
  const key = `${account().name} ${ticketId}`;
  if (!kept.has(key)) kept.set(key, { note: "", draft: {}, base: {} });
  return kept.get(key);
}
