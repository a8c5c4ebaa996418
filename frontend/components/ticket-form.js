// Editing a ticket. Only what the operator touched is sent; a field that someone else changed meanwhile says so,
// and If-Match catches the change that came too late to be seen.
import { api } from "../api.js";
import { name, t } from "../i18n/catalog.js";
import { may } from "../lib/account.js";
import { h } from "../lib/dom.js";
import { NOTHING } from "../lib/format.js";
import { STATUSES } from "../lib/stages.js";
import { explainRefusal, outcome } from "./card.js";
import { choices, selectField, textField } from "./fields.js";

/** Keeps edits in `unsent` until they are saved; `reload` fetches the ticket anew. */
export function ticketEditor({ unsent: { draft, base }, draw, reload }) {
  const state = { message: null, failed: false, saving: false };

  async function save(ticket) {
    state.saving = true;
    draw();
    await attempt(ticket);
    state.saving = false;
    draw();
  }

  async function attempt(ticket) {
    const sent = { ...draft };
    try {
      settle(sent, editable(await api.updateTicket(ticket.id, ticket.version, changesOf(sent))));
      Object.assign(state, { message: t("ticket.saved"), failed: false });
    } catch (error) {
      Object.assign(state, { message: explain(error), failed: true });
    }
    await reload();
  }

  // What was typed while the answer was on its way is still a draft, and begins with what was saved.
  function settle(sent, saved) {
    for (const field in sent) {
      base[field] = saved[field];
      if (draft[field] === sent[field]) {
        delete draft[field];
        delete base[field];
      }
    }
  }

  function touch(ticket, field, value) {
    base[field] ??= editable(ticket)[field];
    draft[field] = value;
    state.message = null;
    draw();
  }

  return { render: (ticket) => (may("write") ? editForm({ ticket, draft, base, state, touch, save }) : assigneeLine(ticket)) };
}

function editForm({ ticket, draft, base, state, touch, save }) {
  const { saving } = state;
  const shown = { ...editable(ticket), ...draft };
  const onsubmit = (event) => {
    event.preventDefault();
    if (!saving && !isEmpty(draft)) save(ticket);
  };
  const oninput = (event) => touch(ticket, event.target.name, event.target.value);
  return h("form", { class: "ticket-form", onsubmit, "aria-label": t("ticket.edit") },
    selectField("status", t("ticket.status"), shown.status, choices("status", STATUSES), { oninput }),
    textField("assignee", t("ticket.assignee"), shown.assignee, { oninput, maxlength: "64" }),
    textField("tags", t("ticket.tags-hint"), shown.tags, { oninput }),
    h("div", { class: "buttons" },
      h("button", { type: "submit", class: "primary", "aria-disabled": String(saving || isEmpty(draft)) },
        t(saving ? "saving" : "save"))),
    overtaken(ticket, base).map(([field, theirs]) => h("p", { class: "message message-bad", "data-key": field },
      t("ticket.overtaken", { field: t(`ticket.${field}`), value: theirs || NOTHING }))),
    outcome(state));
}

function assigneeLine({ assignee }) {
  return h("p", {}, h("span", { class: "muted" }, t("ticket.assignee"), ": "), h("bdi", {}, assignee ?? NOTHING));
}

function editable({ status, assignee, tags }) {
  return { status, assignee: assignee ?? "", tags: tags.join(", ") };
}

/** The edited fields whose value at the service is no longer the one the editing began with. */
function overtaken(ticket, base) {
  const present = editable(ticket);
  return Object.keys(base).filter((field) => base[field] !== present[field])
    .map((field) => [field, field === "status" ? name("status", present.status) : present[field]]);
}

function isEmpty(draft) {
  return Object.keys(draft).length === 0;
}

function changesOf({ tags, assignee, ...rest }) {
  const changes = { ...rest };
  if (assignee !== undefined) changes.assignee = assignee.trim() === "" ? null : assignee.trim();
  if (tags !== undefined) changes.tags = tags.split(",").map((tag) => tag.trim()).filter((tag) => tag !== "");
  return changes;
}

function explain(error) {
  if (error.status === 412) return t("ticket.conflict");
  return explainRefusal(error);
}
