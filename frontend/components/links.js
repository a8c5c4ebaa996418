// Links to an event, a session, a ticket.
import { h } from "../lib/dom.js";
import { NOTHING } from "../lib/format.js";
import { eventAddress, sessionAddress, ticketAddress } from "../lib/stages.js";

export const eventLink = ({ position, event_type: type }) =>
  h("a", { class: "strong", href: eventAddress(position) }, `#${position} ${type}`);

export const idLink = ({ session_id: id }) => h("a", { href: sessionAddress(id) }, h("bdi", {}, id));

/** The domain, or the id where none is known yet. */
export const sessionLink = ({ session_id: id, domain }) =>
  h("a", { href: sessionAddress(id), class: "strong" }, h("bdi", {}, domain ?? id));

/** A dash where there is none. */
export const ticketLink = ({ ticket_id: id }) => (id === null ? NOTHING : h("a", { href: ticketAddress(id) }, `#${id}`));
