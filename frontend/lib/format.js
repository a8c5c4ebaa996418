// Numbers, times and durations in the operator's language and zone.
import { locale } from "../i18n/catalog.js";
import { preference } from "./preferences.js";

export const NOTHING = "—";
const cache = new Map();

/** A whole number with the language's separators. */
export function number(value) {
  return cached("number", () => new Intl.NumberFormat(locale())).format(value);
}

/** A ratio as a percentage, or a dash when there is none. */
export function percent(ratio) {
  if (ratio === null || ratio === undefined || !Number.isFinite(ratio)) return NOTHING;
  const options = { style: "percent", maximumFractionDigits: 1 };
  return cached("percent", () => new Intl.NumberFormat(locale(), options)).format(ratio);
}

/** The difference of two ratios in percentage points, with its sign. */
export function points(difference) {
  const options = { signDisplay: "exceptZero", maximumFractionDigits: 1 };
  return cached("points", () => new Intl.NumberFormat(locale(), options)).format(100 * difference);
}

/** A length of time in its two largest units, or a dash. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NOTHING;
  if (seconds < 10) return inUnit(Math.max(0, Math.round(seconds * 10) / 10), "second");
  const whole = Math.round(seconds);
  if (whole < 60) return inUnit(whole, "second");
  if (whole < 3600) return pair(Math.floor(whole / 60), "minute", whole % 60, "second");
  if (whole < 86400) return pair(Math.floor(whole / 3600), "hour", Math.floor((whole % 3600) / 60), "minute");
  return pair(Math.floor(whole / 86400), "day", Math.floor((whole % 86400) / 3600), "hour");
}

/** Seconds from one instant to a later one; negative when the clocks disagree. */
export function secondsBetween(earlier, later) {
  return (Date.parse(later) - Date.parse(earlier)) / 1000;
}

/** "3 minutes ago", coarse, for reading beside an exact time. */
export function ago(instant) {
  const seconds = Math.round((Date.now() - new Date(instant)) / 1000);
  const [amount, unit] = coarse(Math.abs(seconds));
  const formatter = cached("ago", () => new Intl.RelativeTimeFormat(locale(), { numeric: "auto", style: "short" }));
  return formatter.format(seconds < 0 ? amount : -amount, unit);
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
  return cached("short-day", () => new Intl.DateTimeFormat(locale(), options)).format(new Date(instant));
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

function coarse(seconds) {
  if (seconds < 60) return [seconds, "second"];
  if (seconds < 3600) return [Math.floor(seconds / 60), "minute"];
  if (seconds < 86400) return [Math.floor(seconds / 3600), "hour"];
  return [Math.floor(seconds / 86400), "day"];
}

function pair(major, majorUnit, minor, minorUnit) {
  const first = inUnit(major, majorUnit);
  return minor === 0 ? first : `${first} ${inUnit(minor, minorUnit)}`;
}

function inUnit(amount, unit) {
  const options = { style: "unit", unit, unitDisplay: "narrow", maximumFractionDigits: 1 };
  return cached(`unit-${unit}`, () => new Intl.NumberFormat(locale(), options)).format(amount);
}

function inZone(name, options, instant) {
  const timeZone = preference("zone") === "utc" ? "UTC" : undefined;
  const formatter = cached(`${name}-${timeZone}`, () => new Intl.DateTimeFormat(locale(), { ...options, timeZone }));
  return formatter.format(new Date(instant));
}

function cached(name, build) {
  const key = `${locale()}-${name}`;
  if (!cache.has(key)) cache.set(key, build());
  return cache.get(key);
}
