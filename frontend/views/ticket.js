// One ticket: what it is about, what to do with it, what happened.
import { api } from "../api.js";
import { statusBadge, tagList } from "../components/badges.js";
import { card } from "../components/card.js";
import { failureCard } from "../components/failure-card.js";
import { historyCard, timelinePages } from "../components/history.js";
import { noteEditor } from "../components/notes.js";
import { sessionFacts } from "../components/session-facts.js";
import { ticketEditor } from "../components/ticket-form.js";
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { bySession, resource } from "../lib/resource.js";
import { unsentFor } from "../lib/unsent.js";

export function ticketView({ route, draw }) {
  const id = route.segments[1];
  const pages = timelinePages();
  const ticket = resource((signal) => loadTicket(id, pages, signal),
    { concerns: bySession(() => ticket.data?.session_id) });
  const reload = () => ticket.refresh().then(() => ticket.data);
  const unsent = unsentFor(id);
  const editor = ticketEditor({ unsent, draw, reload });
  const notes = noteEditor({ unsent, draw, reload });
  const drawHistory = historyCard({ resource: ticket, pages, draw, timelineOf: (data) => data.timeline,
    notesOf: (data) => data.notes });
  return {
    title: () => titleOf(id, ticket.data),
    resources: [ticket],
    render: () => h("div", { class: "detail" },
      h("div", { class: "column" },
        card({ id: "ticket", title: t("ticket.one"), resource: ticket, lines: 6, body: (data) =>
          [h("p", { class: "row" }, statusBadge(data.status), tagList(data.tags)), editor.render(data)] }),
        card({ id: "session", title: t("session.one"), resource: ticket, lines: 8, body: ({ session }) =>
          [failureCard(session), sessionFacts(session)] }),
        card({ id: "notes", title: t("note.title"), resource: ticket, body: notes.render })),
      drawHistory()),
  };
}

async function loadTicket(id, pages, signal) {
  const ticket = await api.ticket(id, signal);
  return { ...ticket, timeline: await pages.complete(ticket.session_id, ticket.timeline, signal) };
}

function titleOf(id, ticket) {
  return ticket === null ? `#${id}` : `#${id} ${ticket.domain ?? ticket.session_id}`;
}
