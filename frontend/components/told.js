// What the service wrote down of a change ("status: in_progress"), in the operator's language.
import { name, t } from "../i18n/catalog.js";

const CHANGE = /^(status|assignee|tags): (.*)/s;
const GROUPS = { user_created: "role", role_changed: "role", token_created: "scope", signed_out: "audit" };

// One field; what operators typed may look like another.
function changeTold(text) {
  return text.replace(CHANGE, (_, field, value) => `${t(`ticket.${field}`)}: ${field === "status" ? name("status", value) : value}`);
}

/** The detail of a line of the audit log. */
export function detailTold({ action, detail }) {
  if (action === "ticket_changed") return detail.split("; ").map(changeTold).join("; ");
  if (action === "quarantine_retried") return retryTold(detail.match(/\d+/g));
  const group = GROUPS[action];
  return group === undefined ? detail : detail.replace(/^(role|scope) /, "").replace(/\w+/g, (word) => name(group, word));
}

/** What a note says: the service itself writes only when an onboarding is completed. */
export function noteTold({ kind, body }) {
  if (kind === "change") return changeTold(body);
  return kind === "system" ? t("note.ready") : body;
}

// "3 sessions folded, 1 still quarantined"
function retryTold([n, left]) {
  return t("audit.retried", { n, left });
}
