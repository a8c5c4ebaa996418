// Arranges a session's events for reading: durations between them, days, long gaps, repeats folded. Pure.
import { dayKey, secondsBetween } from "./format.js";

const LONG_GAP_SECONDS = 3600;
const LATE_SECONDS = 300;
const FOLD_FROM = 3;
const FOLDABLE = new Set(["confirmed", "noted"]);

/** Entries in the order to draw: of kind "day", "event", "note" or "fold", each with a stable `key`. */
export function arrange(events, notes, newestFirst) {
  const folded = foldRepeats(withNotes(withGaps(events), notes));
  const ordered = newestFirst ? folded.reverse() : folded;
  return withDays(ordered);
}

/** Whether the event reached the desk long after it happened. */
export function isLate(event) {
  return secondsBetween(event.created_at, event.received_at) > LATE_SECONDS;
}

function withGaps(events) {
  return events.map((event, index) => {
    const elapsed = index === 0 ? null : secondsBetween(events[index - 1].created_at, event.created_at);
    const since = elapsed !== null && elapsed < 0 ? null : elapsed;
    return { kind: "event", key: `event-${event.position}`, at: event.created_at, event, since,
      long: since !== null && since >= LONG_GAP_SECONDS };
  });
}

// A note stands before the first event that happened after it was written.
function withNotes(entries, notes) {
  const merged = [...entries];
  for (const note of notes) {
    const later = merged.findIndex((entry) => secondsBetween(note.created_at, entry.at) > 0);
    const entry = { kind: "note", key: `note-${note.id}`, at: note.created_at, note, since: null };
    merged.splice(later === -1 ? merged.length : later, 0, entry);
  }
  return merged;
}

function foldRepeats(entries) {
  const runs = [];
  for (const entry of entries) {
    const run = runs.at(-1);
    if (run !== undefined && isRepeat(run[0], entry)) run.push(entry);
    else runs.push([entry]);
  }
  return runs.flatMap((run) => (run.length < FOLD_FROM ? run : [foldOf(run)]));
}

function isRepeat(one, other) {
  if (one.kind === "note" || other.kind === "note") return false;
  return FOLDABLE.has(one.event.effect) && one.event.effect === other.event.effect
    && one.event.event_type === other.event.event_type && !other.long;
}

function foldOf(run) {
  return { ...run[0], kind: "fold", key: `fold-${run[0].event.position}`, entries: run };
}

function withDays(entries) {
  let last = null;
  return entries.flatMap((entry) => {
    const key = dayKey(entry.at);
    if (key === last) return [entry];
    last = key;
    return [{ kind: "day", key: `day-${key}`, at: entry.at }, entry];
  });
}
