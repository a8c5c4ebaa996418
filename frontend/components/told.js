// What the service wrote down of a change ("status: in_progress"), in the operator's language.
import { name, t } from "../i18n/catalog.js";

const FIELD = /(status|assignee|tags): (.*?)(?=; (?:status|assignee|tags): |$)/gs;
const GROUPS = { user_created: "role", role_changed: "role", token_created: "scope", signed_out: "audit" };

/** The changes of a ticket. */
export function changesTold(text) {
  return text.replace(FIELD, (_, field, value) => `${t(`ticket.${field}`)}: ${field === "status" ? name("status", value) : value}`);
}

/** The detail of a line of the audit log. */
export function detailTold({ action, detail }) {
  if (action === "ticket_changed") return changesTold(detail);
  if (action === "quarantine_retried") return retryTold(detail);
  const group = GROUPS[action];
  return group === undefined ? detail : detail.replace(/^(role|scope) /, "").replace(/\w+/g, (word) => name(group, word));
}

/** What a note says: the service itself writes only when an onboarding is completed. */
export function noteTold({ kind, body }) {
  if (kind === "change") return changesTold(body);
  return kind === "system" ? t("note.ready") : body;
}

// "3 sessions folded, 1 still quarantined"
function retryTold(detail) {
  const [n, left] = detail.match(/\d+/g);
  return t("audit.retried", { n, left });
}
