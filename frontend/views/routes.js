// Which view an address opens.
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { accountView } from "./account.js";
import { dashboardView } from "./dashboard.js";
import { eventView } from "./event.js";
import { eventsView } from "./events.js";
import { healthView } from "./health.js";
import { peopleView } from "./people.js";
import { sessionView } from "./session.js";
import { sessionsView } from "./sessions.js";
import { ticketView } from "./ticket.js";
import { ticketsView } from "./tickets.js";

const LISTS = { tickets: ticketsView, sessions: sessionsView, events: eventsView, health: healthView,
  account: accountView, people: peopleView };
const DETAILS = { tickets: ticketView, sessions: sessionView, events: eventView };

/** The view of a route: a function of its context giving {title, resources, render, actions?}. */
export function viewFor({ segments: [section, id, ...more] }) {
  if (section === undefined) return dashboardView;
  const known = id === undefined ? LISTS : more.length === 0 ? DETAILS : {};
  return Object.hasOwn(known, section) ? known[section] : notFoundView;
}

function notFoundView() {
  return { title: () => t("not-found.title"), resources: [], render: () =>
    h("p", {}, t("not-found.text"), " ", h("a", { href: "#/" }, t("nav.dashboard"))) };
}
