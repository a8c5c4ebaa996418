// The wizard's stages, their order, and the addresses that list exactly what a number counts.
import { address } from "./router.js";

export const STAGES = ["started", "domain_validated", "dns_applied", "account_created", "infra_synced", "completed"];
export const STATES = ["active", "stalled", "failed", "completed"];
export const STATUSES = ["open", "in_progress", "resolved", "closed"];

/** The state a session stands in: completed, failed, stalled or active; null when no known event has come. */
export function stateOf(session) {
  if (session.current_stage === null) return null;
  if (session.current_stage === "completed" || session.current_stage === "failed") return session.current_stage;
  return session.stalled ? "stalled" : "active";
}

/** Lists sessions in the funnel's window that match `filters`; `scope` is {since, until?, as_of?}. */
export function sessionsIn({ since, until, as_of }, filters) {
  return address("/sessions", { ...filters, since, until, as_of });
}

/** Lists the sessions that stand failed with this code; null for those without any. */
export function failedWith(scope, code) {
  return sessionsIn(scope, { state: "failed", failure_code: code ?? "" });
}

/** Lists the sessions that went beyond `stage`: all who reached the next one. */
export function onwardFrom(scope, stage) {
  if (stage === "completed") return sessionsIn(scope, { state: "completed" });
  return sessionsIn(scope, { reached: STAGES[STAGES.indexOf(stage) + 1] });
}

export const sessionAddress = (id) => `#/sessions/${encodeURIComponent(id)}`;
export const ticketAddress = (id) => `#/tickets/${encodeURIComponent(id)}`;
export const eventAddress = (position) => `#/events/${encodeURIComponent(position)}`;
