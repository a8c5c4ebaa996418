// What went wrong, where, and what to do next.
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { NOTHING } from "../lib/format.js";
import { fact, facts } from "./facts.js";
import { timeWithAge } from "./time.js";

const ADVISED = ["domain", "dns", "account", "infra"];

/** The session's open failure; after completion a failure is history and stands in the timeline only. */
export function failureCard(session) {
  if (session.current_stage !== "failed" || session.failure === null) return null;
  const { step, code, reason } = session.failure;
  return h("section", { class: "failure", "aria-labelledby": "failure-title" },
    h("h3", { id: "failure-title" }, t("failure.title")),
    facts(fact("failure.step", given(step)), fact("failure.code", given(code)), fact("failure.reason", given(reason)),
      fact("failure.at", timeWithAge(session.failed_at))),
    h("p", {}, h("strong", {}, t("failure.next")), " ", t(`failure.advice.${adviceFor(step)}`)));
}

function given(value) {
  return h("bdi", {}, value ?? NOTHING);
}

function adviceFor(step) {
  return ADVISED.find((known) => String(step ?? "").toLowerCase().startsWith(known)) ?? "other";
}
