// One session: its row, the times of its stages, its history.
import { api } from "../api.js";
import { card } from "../components/card.js";
import { failureCard } from "../components/failure-card.js";
import { PAGE, historyCard, timelinePages } from "../components/history.js";
import { sessionFacts, stageTimes } from "../components/session-facts.js";
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { bySession, resource } from "../lib/resource.js";

export function sessionView({ route, draw }) {
  const id = route.segments[1];
  const concerns = bySession(() => id);
  const session = resource((signal) => api.session(id, signal), { concerns });
  const pages = timelinePages();
  const history = resource(async (signal) => pages.complete(id, await api.timeline(id, { limit: PAGE }, signal), signal),
    { concerns });
  const provenance = resource((signal) => api.explain(id, signal), { concerns });
  const drawHistory = historyCard({ resource: history, pages, draw });
  return {
    title: () => session.data?.domain ?? id,
    resources: [session, history, provenance],
    render: () => h("div", { class: "detail" },
      h("div", { class: "column" },
        card({ id: "session", title: t("session.one"), resource: session, lines: 8, body: (data) =>
          [failureCard(data), sessionFacts(data, provenance.data?.fields), provenanceHint()] }),
        card({ id: "stages", title: t("session.reached"), resource: session, lines: 6, body: (data) =>
          stageTimes(data, provenance.data?.fields) })),
      drawHistory()),
  };
}

function provenanceHint() {
  return h("p", { class: "muted hint" }, t("session.provenance"));
}
