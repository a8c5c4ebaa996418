// The only place that talks to the service.
import { account, token } from "./lib/account.js";
import { isAttended } from "./lib/presence.js";

/** A refusal by the service (RFC 9457), or no answer at all: then `status` is 0. */
class ApiError extends Error {
  constructor({ detail, errors, ...told }) {
    super(detail ?? told.title);
    Object.assign(this, told, { detail: detail ?? "", errors: errors ?? [] });
  }
}

const TIMEOUT_MS = 15_000;
const V1 = "/api/v1";

const list = (path) => (params, signal) => get(path, params, signal);
const one = (path, part = "") => (key, signal) => get(under(path, key) + part, {}, signal);
const post = (path) => (body) => send("POST", path, body);

export const api = {
  funnel: list("/onboard/funnel"),
  trend: list("/onboard/trend"),
  sessions: list("/onboard/sessions"),
  session: one("/onboard/sessions"),
  explain: one("/onboard/sessions", "/explain"),
  timeline: (session, params, signal) => get(`${under("/onboard/sessions", session)}/timeline`, params, signal),
  events: list("/events"),
  event: one("/events"),
  tickets: list("/desk/tickets"),
  ticket: one("/desk/tickets"),
  updateTicket: (ticket, version, changes) =>
    send("PATCH", under("/desk/tickets", ticket), changes, { "If-Match": `"${version}"` }),
  addNote: (ticket, body) => send("POST", `${under("/desk/tickets", ticket)}/notes`, { body }),
  quarantined: list("/quarantine"),
  retryQuarantined: (params) => send("POST", withQuery("/quarantine/retry", params), {}),
  rejected: list("/rejected-deliveries"),
  csv: async (path, params) => read(await ask(V1 + withQuery(path, params)), "blob"),
  me: () => get("/auth/me"),
  signIn: post("/auth/sign-in"),
  signOut: (everywhere) => send("POST", `/auth/sign-out?everywhere=${everywhere}`),
  link: post("/auth/link"),
  redeemLink: post("/auth/link/redeem"),
  changePassword: post("/auth/password"),
  users: list("/users"),
  inviteUser: post("/users"),
  changeUser: (user, changes) => send("PATCH", under("/users", user), changes),
  renewLink: (user) => send("POST", `${under("/users", user)}/link`),
  endSessions: (user) => send("DELETE", `${under("/users", user)}/sessions`),
  tokens: list("/tokens"),
  createToken: post("/tokens"),
  revokeToken: (token) => send("DELETE", under("/tokens", token)),
  audit: list("/audit"),
  readiness,
  stream,
};

// A service that is not ready says so with a 503 problem that has the same members: an answer, not an error.
async function readiness(signal) {
  const response = await ask("/readyz", { signal });
  const answer = await response.json().catch(() => ({}));
  if ("database" in answer) return { ...answer, status: response.ok ? "ready" : "not_ready" };
  throw problem(response, answer);
}

// Endless: it is its caller's business to notice when nothing comes any more.
async function stream(after, signal) {
  const response = await ask(`${V1}${withQuery("/stream", after === null ? {} : { after })}`, { signal, timeout: null });
  return response.ok ? response : read(response);
}

async function get(path, params, signal) {
  return read(await ask(V1 + withQuery(path, params), { signal }));
}

async function send(method, path, body, headers = {}) {
  const sent = { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } };
  return read(await ask(V1 + path, sent));
}

function under(path, key) {
  return `${path}/${encodeURIComponent(key)}`;
}

function withQuery(path, params) {
  const query = new URLSearchParams(params).toString();
  return query === "" ? path : `${path}?${query}`;
}

async function ask(path, { headers = {}, timeout = TIMEOUT_MS, ...options } = {}) {
  const own = token() === null ? {} : { Authorization: `Bearer ${token()}` };
  // A desk that nobody looks at must not keep its session alive.
  if (!isAttended()) own["X-Automatic"] = "1";
  const limit = timeout === null ? undefined : AbortSignal.timeout(timeout);
  const signals = [options.signal, limit].filter((signal) => signal !== undefined);
  const request = { ...options, cache: "no-store", credentials: "same-origin", signal: AbortSignal.any(signals), headers: { ...own, ...headers } };
  try {
    return await fetch(path, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ status: 0, title: "unreachable" });
  }
}

async function read(response, wanted = "json") {
  if (response.status === 204) return null;
  const body = await response[response.ok ? wanted : "json"]().catch(() => null);
  if (response.ok && body !== null) return body;
  throw problem(response, body);
}

// An answer that was cut, or came from something else than the service, is as good as none.
// Whatever is asked may be the first to learn that the session has ended.
function problem(response, body) {
  if (response.status === 401 && account() !== null) dispatchEvent(new Event("signed-out"));
  return new ApiError({ title: response.statusText, ...body, status: response.ok ? 0 : response.status,
    requestId: response.headers.get("x-request-id"), retryAfter: response.headers.get("retry-after") });
}
