// The notes of a ticket, people's and the system's, and the form for a new one.
import { api } from "../api.js";
import { t } from "../i18n/catalog.js";
import { account, may } from "../lib/account.js";
import { h } from "../lib/dom.js";
import { explainRefusal, outcome } from "./card.js";
import { timeWithAge } from "./time.js";
import { noteTold } from "./told.js";

/** Keeps the note in `unsent` until it is added; `reload` fetches the ticket anew, and gives it. */
export function noteEditor({ unsent, draw, reload }) {
  const state = { message: null, failed: false, sending: false };

  async function send(ticket) {
    const body = unsent.note.trim();
    if (body === "" || state.sending) return;
    state.sending = true;
    try {
      await api.addNote(ticket.id, body);
      settle(body);
    } catch (error) {
      Object.assign(state, { message: explainRefusal(error), failed: true });
    }
    // Where only the answer got lost, the note is there.
    if (timesWritten(body, await reload()) > timesWritten(body, ticket) && state.failed) settle(body);
    state.sending = false;
    draw();
  }

  // Whoever goes on typing meanwhile keeps that.
  function settle(body) {
    unsent.note = unsent.note.replace(body, "").trimStart();
    Object.assign(state, { message: t("note.added"), failed: false });
  }

  return { render: (ticket) => [noteList(ticket.notes), may("write") ? noteForm({ ticket, unsent, state, send }) : null] };
}

function timesWritten(body, { notes }) {
  return notes.filter((note) => note.body === body && note.author === account()?.name).length;
}

function noteList(notes) {
  if (notes.length === 0) return h("p", { class: "muted" }, t("note.none"));
  return h("ul", { class: "notes" }, notes.map((note) => h("li", { "data-key": note.id }, noteItem(note))));
}

/** Who wrote what, and when. */
export function noteItem(note) {
  return h("div", { class: `note note-${note.kind}` },
    h("div", { class: "note-head" },
      h("bdi", { class: "strong" }, note.kind === "system" ? t("note.system") : note.author),
      note.kind === "change" ? h("span", { class: "muted" }, t("note.change")) : null,
      timeWithAge(note.created_at)),
    h("p", { class: "note-body" }, noteTold(note)));
}

function noteForm({ ticket, unsent, state, send }) {
  const onsubmit = (event) => {
    event.preventDefault();
    send(ticket);
  };
  const oninput = ({ target }) => { unsent.note = target.value; };
  return h("form", { class: "note-form", onsubmit },
    h("label", { class: "field" }, h("span", {}, t("note.new")),
      h("textarea", { name: "body", rows: "3", required: true, maxlength: "10000", oninput }, unsent.note)),
    h("div", { class: "buttons" }, h("button", { type: "submit" }, t("note.add"))),
    outcome(state));
}
