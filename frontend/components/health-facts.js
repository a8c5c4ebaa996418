// Whether what the desk shows can be trusted.
import { name, t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { NOTHING, number } from "../lib/format.js";
import { badge } from "./badges.js";
import { fact, facts } from "./facts.js";
import { timeWithAge } from "./time.js";

/** How the read models came to be, for those who look after them. */
export function projectionFacts({ fingerprint, rebuilt_at: rebuilt, verified_at: verified, verified_differences: differences }) {
  return facts(
    fact("health.fingerprint", fingerprint === null ? NOTHING : h("code", {}, fingerprint)),
    fact("health.rebuilt", rebuilt === null ? t("health.never") : timeWithAge(rebuilt)),
    fact("health.verified", verified === null ? t("health.never") : timeWithAge(verified)),
    fact("health.differences", differences === null ? NOTHING : verdict(differences === 0, number(differences))));
}

/** The service's readiness as facts. */
export function healthFacts(health) {
  return facts(
    fact("health.status", judged(health.status, "ready")),
    fact("session.last", health.last_event_at ? timeWithAge(health.last_event_at) : t("health.no-event")),
    fact("health.projection", judged(health.projection, "current")),
    fact("quarantine.title", health.quarantined === null ? NOTHING
      : verdict(health.quarantined === 0, number(health.quarantined))),
    fact("health.database", judged(health.database, "ok")),
    fact("health.migrations", judged(health.migrations, "current")));
}

// A service that cannot reach its database knows nothing of the rest and says null.
function judged(value, good) {
  return value === null ? NOTHING : verdict(value === good, name("health", value));
}

function verdict(good, text) {
  return badge(good ? "good" : "bad", text);
}
