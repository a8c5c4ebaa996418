// A session's timeline as a widget, with as many of its pages as the operator asked for.
import { api } from "../api.js";
import { currentLanguage, plural, t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { memo } from "../lib/morph.js";
import { preference } from "../lib/preferences.js";
import { card } from "./card.js";
import { orderSwitch, timeline, zoneSwitch } from "./timeline.js";

export const PAGE = 200;

/** Completes a timeline's first page with the further ones; those load anew only when the total has changed. */
export function timelinePages() {
  let wanted = 0;
  let kept = { total: null, pages: 0, events: [], next_cursor: null };

  async function load(sessionId, first, signal) {
    let { next_cursor: cursor } = first;
    const events = [];
    for (let page = 0; page < wanted && cursor !== null; page += 1) {
      const answer = await api.timeline(sessionId, { limit: PAGE, cursor }, signal);
      events.push(...answer.events);
      cursor = answer.next_cursor;
    }
    return { total: first.total, pages: wanted, events, next_cursor: cursor };
  }

  return {
    more() { wanted += 1; },
    async complete(sessionId, first, signal) {
      if (wanted === 0) return first;
      if (kept.total !== first.total || kept.pages !== wanted) kept = await load(sessionId, first, signal);
      return { ...first, events: [...first.events, ...kept.events], next_cursor: kept.next_cursor };
    },
  };
}

/** The widget: `timelineOf(data)` finds the timeline in what `resource` loads, `notesOf(data)` what was written meanwhile. */
export function historyCard({ resource, pages, draw, timelineOf = (data) => data, notesOf = () => [] }) {
  const keep = memo();
  const more = () => {
    pages.more();
    resource.refresh();
  };
  return () => card({ id: "history", title: t("timeline.title"), resource, lines: 10, className: "wide",
    actions: h("div", { class: "buttons" }, zoneSwitch(draw), orderSwitch(draw)), body: (data) => loadedPages(timelineOf(data), notesOf(data), keep, more) });
}

function loadedPages(history, written, keep, more) {
  // Drawing a thousand events each second would be felt, so an unchanged history is left as it stands.
  const notes = history.next_cursor === null ? written : until(history.events.at(-1).created_at, written);
  const token = [currentLanguage(), preference("zone"), preference("order"), stampOf(history.events),
    notes.map(({ id }) => id)].join(" ");
  const loaded = keep(token, () => h("div", {}, timeline(history.events, notes)));
  // The newest are loaded last: the button stands where they will.
  const rest = history.next_cursor === null ? null : h("button", { type: "button", "data-key": "more", onclick: more },
    t("timeline.more", { n: number(history.total - history.events.length) }));
  return [
    h("p", { class: "total" }, plural("count.events", history.total)),
    preference("order") === "newest" ? [rest, loaded] : [loaded, rest],
  ];
}

// What was written after the last event that is loaded has its place further on.
function until(instant, notes) {
  return notes.filter((note) => Date.parse(note.created_at) <= Date.parse(instant));
}

function stampOf(events) {
  return events.map(({ position, effect }) => `${position}${effect}`).join(" ");
}
