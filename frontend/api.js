// The only place that talks to the service.
import { token } from "./lib/credentials.js";

/** A refusal by the service (RFC 9457), or no answer at all: then `status` is 0. */
export class ApiError extends Error {
  constructor({ status, title, detail = "", errors = [], requestId = null, retryAfter = null }) {
    super(detail || title);
    this.name = "ApiError";
    Object.assign(this, { status, title, detail, errors, requestId, retryAfter });
  }
}

const TIMEOUT_MS = 15_000;
const V1 = "/api/v1";
const id = encodeURIComponent;

export const api = {
  funnel: (params, signal) => get(`${V1}/onboard/funnel`, params, signal),
  sessions: (params, signal) => get(`${V1}/onboard/sessions`, params, signal),
  session: (session, signal) => get(`${V1}/onboard/sessions/${id(session)}`, {}, signal),
  timeline: (session, params, signal) => get(`${V1}/onboard/sessions/${id(session)}/timeline`, params, signal),
  events: (params, signal) => get(`${V1}/events`, params, signal),
  event: (position, signal) => get(`${V1}/events/${id(position)}`, {}, signal),
  tickets: (params, signal) => get(`${V1}/desk/tickets`, params, signal),
  ticket: (ticket, signal) => get(`${V1}/desk/tickets/${id(ticket)}`, {}, signal),
  updateTicket: (ticket, version, changes) =>
    send("PATCH", `${V1}/desk/tickets/${id(ticket)}`, changes, { "If-Match": `"${version}"` }),
  addNote: (ticket, body) => send("POST", `${V1}/desk/tickets/${id(ticket)}/notes`, { body }),
  trend: (params, signal) => get(`${V1}/onboard/trend`, params, signal),
  explain: (session, signal) => get(`${V1}/onboard/sessions/${id(session)}/explain`, {}, signal),
  quarantined: (params, signal) => get(`${V1}/quarantine`, params, signal),
  retryQuarantined: (session) =>
    send("POST", withQuery(`${V1}/quarantine/retry`, session === undefined ? {} : { session_id: session }), {}),
  rejected: (params, signal) => get(`${V1}/rejected-deliveries`, params, signal),
  csv,
  me: () => get(`${V1}/auth/me`, {}),
  signIn: (name, password) => send("POST", `${V1}/auth/sign-in`, { name, password }),
  signOut: (everywhere) => send("POST", `${V1}/auth/sign-out?everywhere=${everywhere}`),
  link: (link) => send("POST", `${V1}/auth/link`, { link }),
  redeemLink: (link, name, password) => send("POST", `${V1}/auth/link/redeem`, { link, name, password }),
  changePassword: (current, fresh) => send("POST", `${V1}/auth/password`, { current, new: fresh }),
  users: (signal) => get(`${V1}/users`, {}, signal),
  inviteUser: (name, role) => send("POST", `${V1}/users`, { name, role }),
  changeUser: (user, changes) => send("PATCH", `${V1}/users/${id(user)}`, changes),
  renewLink: (user) => send("POST", `${V1}/users/${id(user)}/link`),
  endSessions: (user) => send("DELETE", `${V1}/users/${id(user)}/sessions`),
  tokens: (signal) => get(`${V1}/tokens`, {}, signal),
  createToken: (name, scope) => send("POST", `${V1}/tokens`, { name, scope }),
  revokeToken: (one) => send("DELETE", `${V1}/tokens/${id(one)}`),
  audit: (params, signal) => get(`${V1}/audit`, params, signal),
  readiness,
  stream,
};

// A file needs the same credentials as any answer, which a plain link would not carry.
async function csv(path, params) {
  const response = await ask(withQuery(`${V1}${path}`, params), {});
  if (response.ok) return response.blob();
  throw problem(response, await response.json().catch(() => null));
}

// A service that is not ready says so with a 503 problem that has the same members: an answer, not an error.
async function readiness(signal) {
  const response = await ask("/readyz", { signal });
  const answer = await response.json().catch(() => ({}));
  if ("database" in answer) return { ...answer, status: response.ok ? "ready" : "not_ready" };
  throw problem(response, answer);
}

// Endless: it is its caller's business to notice when nothing comes any more.
async function stream(after, signal) {
  const response = await ask(after === null ? `${V1}/stream` : `${V1}/stream?after=${after}`, { signal, timeout: null });
  if (!response.ok) throw problem(response, await response.json().catch(() => null));
  return response;
}

async function get(path, params, signal) {
  return read(await ask(withQuery(path, params), { signal }));
}

function withQuery(path, params) {
  const query = new URLSearchParams(params).toString();
  return query === "" ? path : `${path}?${query}`;
}

async function send(method, path, body, headers = {}) {
  const sent = { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } };
  return read(await ask(path, sent));
}

async function ask(path, { headers = {}, timeout = TIMEOUT_MS, ...options }) {
  const authorization = token() === null ? {} : { Authorization: `Bearer ${token()}` };
  const limit = timeout === null ? undefined : AbortSignal.timeout(timeout);
  const signals = [options.signal, limit].filter((signal) => signal !== undefined);
  const request = { ...options, cache: "no-store", credentials: "same-origin", signal: AbortSignal.any(signals), headers: { ...authorization, ...headers } };
  try {
    return await fetch(path, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ status: 0, title: "unreachable" });
  }
}

async function read(response) {
  if (response.status === 204) return null;
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  throw problem(response, body);
}

function problem(response, body) {
  return new ApiError({
    status: response.status,
    title: body?.title ?? response.statusText,
    detail: body?.detail,
    errors: body?.errors,
    requestId: response.headers.get("x-request-id"),
    retryAfter: response.headers.get("retry-after"),
  });
}
