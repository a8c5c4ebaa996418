// A widget with its own loading, error and empty states: an error in one never takes the others down.
import { currentLanguage, name, t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { ago, clock } from "../lib/format.js";

const KNOWN = { 0: "unreachable", 401: "ended", 403: "forbidden", 404: "missing", 412: "changed", 422: "wrong", 429: "wait", 500: "fault",
  503: "busy" };

/** A titled region showing `body(data)` of a resource; the last good data stays through an error. */
export function card({ id, title, resource, body, actions = null, lines = 4, className = "" }) {
  return h("section", { id, class: `card ${className}`, "aria-labelledby": `${id}-title`, "data-key": id },
    h("div", { class: "card-head" }, h("h2", { id: `${id}-title` }, title), actions),
    content({ resource, body, lines }));
}

/** The same states without a frame, for a view that is one resource. */
export function content({ resource, body, lines = 8 }) {
  return h("div", { class: "card-body", "aria-busy": String(isLoading(resource)) },
    resource.error === null ? null : trouble(resource),
    resource.data === null ? placeholder(resource, lines) : body(resource.data));
}

/** Says why there is nothing, with what to do about it. */
export function empty(text, ...more) {
  return h("div", { class: "empty" }, h("p", {}, text), more);
}

/** An error in the operator's words, with the request's id for whoever has to search the logs. */
export function trouble(resource) {
  const { error, loadedAt } = resource;
  return h("div", { class: "trouble", role: "group", "aria-label": t("error.label") },
    h("p", {}, h("strong", {}, headline(error)), " ", detail(error)),
    h("ul", {}, fieldsTold(error).map((text) => h("li", {}, text))),
    loadedAt === null ? null : h("p", { class: "muted" }, t("error.kept", { time: clock(loadedAt), age: ago(loadedAt) })),
    error.requestId ? h("p", { class: "muted" }, t("error.request", { id: error.requestId })) : null,
    h("button", { type: "button", onclick: () => resource.refresh() }, t("error.retry")));
}

/** One line for an error: in the operator's language where it is known, else as the service titles it. */
export function headline(error) {
  if (error.code) return name("refused", error.code);
  return error.status in KNOWN ? t(`error.${KNOWN[error.status]}`, { n: error.retryAfter }) : error.title;
}

/** The whole refusal as one text, for the line below a form. */
export function explainRefusal(error) {
  return [headline(error), detail(error), ...fieldsTold(error)].filter((part) => part !== "").join(" ");
}

// Each wrong field once. What a hand can get wrong has its rule in the catalog; of the rest the service tells.
function fieldsTold({ code, errors }) {
  const told = errors.map(({ pointer, detail }) => {
    const field = pointer.match(/[a-z]*(?=[/0-9]*$)/)[0];
    const rule = name("rule", field);
    return rule === field ? `${pointer}: ${detail}` : rule;
  });
  return code ? [] : [...new Set(told)];
}

// The service speaks English: beside a headline that says enough, only those who read English get its words; nobody
// where all is told otherwise.
function detail({ status, code, errors, detail: words }) {
  return code || errors.length > 0 || status === 429 || (status in KNOWN && currentLanguage() !== "en") ? "" : words;
}

/** How what the operator did went, for the line below a form. */
export function outcome({ message, failed }) {
  return h("p", { class: failed ? "message message-bad" : "message", role: "status" }, message);
}

function isLoading(resource) {
  return resource.data === null && resource.error === null;
}

function placeholder(resource, lines) {
  if (!isLoading(resource)) return null;
  const bars = Array.from({ length: lines }, () => h("div", { class: "skeleton" }));
  return h("div", { class: "loading" }, h("p", { class: "visually-hidden" }, t("loading")), bars);
}
