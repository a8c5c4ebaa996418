// One event of the log, whole.
import { api } from "../api.js";
import { card } from "../components/card.js";
import { fact, facts } from "../components/facts.js";
import { idLink } from "../components/links.js";
import { payload } from "../components/payload.js";
import { timeWithAge } from "../components/time.js";
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { NOTHING } from "../lib/format.js";
import { resource } from "../lib/resource.js";

export function eventView({ route }) {
  const position = route.segments[1];
  const event = resource((signal) => api.event(position, signal), { concerns: () => false, constant: true });
  return {
    title: () => t("event.title", { position }),
    resources: [event],
    render: () => h("div", { class: "stack" },
      card({ id: "event", title: t("event.one"), resource: event, body: eventFacts }),
      card({ id: "payload", title: t("event.payload"), resource: event, body: (data) =>
        payload(data.payload ?? data.data ?? {}, t("timeline.data-of", { type: data.event_type })) })),
  };
}

function eventFacts(event) {
  return facts(
    fact("event.type", event.event_type),
    fact("event.id", h("bdi", {}, event.event_id)),
    fact("session.id", idLink(event)),
    fact("filter.domain", h("bdi", {}, event.domain ?? NOTHING)),
    fact("session.source", h("bdi", {}, event.source)),
    fact("event.occurred", timeWithAge(event.occurred_at)),
    fact("event.received", timeWithAge(event.received_at)));
}
