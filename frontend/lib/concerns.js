// Which messages of the stream mean that something shown has changed.

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
