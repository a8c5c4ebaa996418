// Which view an address opens.
import { t } from "../i18n/catalog.js";
import { dashboardView } from "./dashboard.js";
import { notFoundView } from "./not-found.js";
import { lazyView } from "./lazy.js";
import { sessionsView } from "./sessions.js";
import { ticketsView } from "./tickets.js";

const accountView = lazyView(() => t("account.title"), async () => (await import("./account.js")).accountView);
const eventView = lazyView(() => t("event.one"), async () => (await import("./event.js")).eventView);
const eventsView = lazyView(() => t("nav.events"), async () => (await import("./events.js")).eventsView);
const sessionView = lazyView(() => t("session.one"), async () => (await import("./session.js")).sessionView);
const ticketView = lazyView(() => t("ticket.one"), async () => (await import("./ticket.js")).ticketView);
const healthView = lazyView(() => t("nav.health"), async () => (await import("./health.js")).healthView);
const peopleView = lazyView(() => t("nav.people"), async () => (await import("./people.js")).peopleView);

export const welcomeView = lazyView(() => t("welcome.title"), async () => (await import("./welcome.js")).welcomeView, true);

const LISTS = { tickets: ticketsView, sessions: sessionsView, events: eventsView, health: healthView,
  account: accountView, people: peopleView };
const DETAILS = { tickets: ticketView, sessions: sessionView, events: eventView };

/** The view of a route: a function of its context giving {title, resources, render, actions?, isBare?}. */
export function viewFor({ segments }) {
  if (segments.length === 0) return dashboardView;
  const [section] = segments;
  const known = segments.length === 1 ? LISTS : segments.length === 2 ? DETAILS : {};
  return Object.hasOwn(known, section) ? known[section] : notFoundView;
}
