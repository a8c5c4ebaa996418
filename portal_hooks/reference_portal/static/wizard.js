// The wizard's page: posts each step, shows its outcome and what the hooks reported.
import { catalogs } from "./texts.js";

const STATUS_EVERY_MS = 1000;
const select = (query, root = document) => root.querySelector(query);
const selectAll = (query, root = document) => [...root.querySelectorAll(query)];

const state = {
  language: localStorage.getItem("language") ?? (navigator.language.startsWith("pt") ? "pt" : "en"),
  session: null,
  domain: null,
  emitted: [],
  steps: {}, // step → {ok, result} or {ok, problem}
  status: null,
};

const text = (key) => catalogs[state.language][key];

function render() {
  document.documentElement.lang = state.language;
  document.title = text("title");
  for (const element of selectAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of selectAll("[data-label]")) element.setAttribute("aria-label", text(element.dataset.label));
  for (const button of selectAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === state.language));
  }
  for (const card of selectAll("[data-step]")) renderStep(card);
  select("#session").textContent = state.session ?? text("none");
  select("#nothing").hidden = state.emitted.length > 0;
  select("#emitted").replaceChildren(...state.emitted.map(emittedItem));
  renderStatus();
}

function renderStep(card) {
  const name = card.dataset.step;
  const outcome = state.steps[name];
  card.classList.toggle("done", outcome?.ok === true);
  card.classList.toggle("failed", outcome?.ok === false);
  select(".primary", card).disabled = name !== "domain" && state.domain === null;
  const message = outcome === undefined ? "" : outcome.ok ? text(`${name}Done`)(outcome.result) : outcome.problem ?? text("lost");
  say(select(".outcome", card), message);
}

function emittedItem({ hook, event_id: id }) {
  const item = document.createElement("li");
  item.className = id === null ? "kept" : "";
  const name = document.createElement("code");
  name.textContent = `hooks.${hook}`;
  const detail = document.createElement("span");
  detail.className = "id";
  detail.textContent = id ?? text("notEmitted");
  item.append(name, detail);
  return item;
}

function renderStatus() {
  const { desk_url: desk, events } = state.status ?? {};
  const link = select("#desk");
  link.hidden = !desk;
  if (desk) link.href = state.session ? `${desk}#/sessions/${encodeURIComponent(state.session)}` : desk;
  if (!events) return;
  const shown = ["emitted", "delivered", "pending", "refused"].map((name) => figure(text(name), events[name]));
  select("#delivery").replaceChildren(...shown);
  const stuck = events.pending > 0 && events.last_error !== null;
  say(select("#trouble"), stuck ? text("trouble") + events.last_error : "");
}

function figure(name, count) {
  const row = document.createElement("div");
  const term = document.createElement("dt");
  const value = document.createElement("dd");
  term.textContent = name;
  value.textContent = String(count);
  row.append(term, value);
  return row;
}

// Unchanged text is left alone, so that a screen reader hears each outcome once.
function say(element, message) {
  if (element.textContent !== message) element.textContent = message;
}

function requestBody(form) {
  const fields = new FormData(form);
  const body = { simulate: fields.get("simulate") || null };
  if (state.session !== null) body.session_id = state.session;
  if (select("[name=records]", form)) body.records = fields.getAll("records");
  for (const name of ["domain", "account"]) if (fields.has(name)) body[name] = fields.get(name).trim();
  return body;
}

async function post(path, body) {
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { ok: response.ok, answer: await response.json() };
  } catch {
    return { ok: false, answer: {} };
  }
}

async function runStep(event) {
  event.preventDefault();
  const form = event.target;
  const button = select(".primary", form);
  button.disabled = true;
  const { ok, answer } = await post(form.dataset.path, requestBody(form));
  state.session = answer.session_id ?? state.session;
  if (ok) state.domain = answer.domain;
  state.emitted.push(...(answer.emitted ?? []));
  state.steps[form.parentElement.dataset.step] = { ok, result: answer.result, problem: answer.detail };
  button.disabled = false;
  render();
  await refreshStatus();
}

function restart() {
  Object.assign(state, { session: null, domain: null, emitted: [], steps: {} });
  render();
  select("[name=domain]").focus();
}

async function refreshStatus() {
  try {
    state.status = await (await fetch("/status")).json();
    renderStatus();
  } catch {
    // The portal is away; the next round asks again.
  }
}

function chooseLanguage(event) {
  state.language = event.currentTarget.dataset.language;
  localStorage.setItem("language", state.language);
  render();
}

for (const form of selectAll("form")) form.addEventListener("submit", runStep);
for (const button of selectAll("[data-language]")) button.addEventListener("click", chooseLanguage);
select("#restart").addEventListener("click", restart);
render();
refreshStatus();
setInterval(refreshStatus, STATUS_EVERY_MS);
