// Numbers, times and durations in the operator's language and zone.
import { locale } from "../i18n/catalog.js";
import { preference } from "./preferences.js";

export const NOTHING = "—";
const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];
const cache = new Map();

/** A whole number with the language's separators. */
export function number(value) {
  return cached("number", Intl.NumberFormat).format(value);
}

/** A ratio as a percentage, or a dash when there is none. */
export function percent(ratio) {
  if (!Number.isFinite(ratio)) return NOTHING;
  return cached("percent", Intl.NumberFormat, { style: "percent", maximumFractionDigits: 1 }).format(ratio);
}

/** The difference of two ratios in percentage points, with its sign. */
export function points(difference) {
  return cached("points", Intl.NumberFormat, { signDisplay: "exceptZero", maximumFractionDigits: 1 }).format(100 * difference);
}

/** A length of time in its two largest units, or a dash. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return NOTHING;
  if (seconds < 10) return inUnit(Math.max(0, Math.round(seconds * 10) / 10), "second");
  let rest = Math.round(seconds);
  const largest = UNITS.findIndex(([, length]) => rest >= length);
  return UNITS.slice(largest, largest + 2).map(([unit, length]) => {
    const amount = Math.floor(rest / length);
    rest %= length;
    return amount === 0 ? "" : inUnit(amount, unit);
  }).join(" ").trim();
}

/** Seconds from one instant to a later one; negative when the clocks disagree. */
export function secondsBetween(earlier, later) {
  return (Date.parse(later) - Date.parse(earlier)) / 1000;
}

/** "3 minutes ago", coarse, for reading beside an exact time. */
export function ago(instant) {
  const seconds = Math.round((new Date(instant) - Date.now()) / 1000);
  const [unit, length] = UNITS.find((one) => Math.abs(seconds) >= one[1]) ?? UNITS.at(-1);
  return cached("ago", Intl.RelativeTimeFormat, { numeric: "auto", style: "short" }).format(Math.trunc(seconds / length), unit);
}

/** Time of day with seconds. */
export function clock(instant) {
  return inZone("clock", { timeStyle: "medium" }, instant);
}

/** Time of day with milliseconds. */
export function preciseClock(instant) {
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" };
  return inZone("precise", options, instant);
}

/** A day, written out. */
export function day(instant) {
  return inZone("day", { weekday: "long", day: "numeric", month: "long", year: "numeric" }, instant);
}

/** A day of the service's calendar, which is UTC, short. */
export function shortDay(instant) {
  const options = { weekday: "short", day: "2-digit", month: "short", timeZone: "UTC" };
  return cached("short-day", Intl.DateTimeFormat, options).format(new Date(instant));
}

/** Day and time, short: the time alone when the day is today. */
export function moment(instant) {
  if (dayKey(instant) === dayKey(Date.now())) return clock(instant);
  return inZone("moment", { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit" }, instant);
}

/** Day, time and zone in full. */
export function fullMoment(instant) {
  return inZone("full", { dateStyle: "long", timeStyle: "long" }, instant);
}

/** Equal for two instants on the same day of the chosen zone. */
export function dayKey(instant) {
  const date = new Date(instant);
  return preference("zone") === "utc" ? date.toISOString().slice(0, 10) : date.toDateString();
}

/** Which zone times are shown in. */
export function zoneName() {
  return preference("zone") === "utc" ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function inUnit(amount, unit) {
  const options = { style: "unit", unit, unitDisplay: "narrow", maximumFractionDigits: 1 };
  return cached(`unit-${unit}`, Intl.NumberFormat, options).format(amount);
}

function inZone(name, options, instant) {
  const timeZone = preference("zone") === "utc" ? "UTC" : undefined;
  return cached(`${name}-${timeZone}`, Intl.DateTimeFormat, { ...options, timeZone }).format(new Date(instant));
}

function cached(name, Format, options) {
  const key = `${locale()}-${name}`;
  if (!cache.has(key)) cache.set(key, new Format(locale(), options));
  return cache.get(key);
}
