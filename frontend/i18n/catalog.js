// Looks up text in the catalog of the operator's language.
import { preference, setPreference } from "../lib/preferences.js";

const LOCALES = { pt: "pt-PT", en: "en-GB" };
let language = "en";
let messages = {};

export const LANGUAGES = Object.keys(LOCALES);

/** Loads the catalog of the chosen language, or the browser's, or English. */
export async function loadCatalog() {
  const wanted = [preference("language"), ...navigator.languages].map((tag) => tag?.slice(0, 2).toLowerCase());
  const found = wanted.find((tag) => tag in LOCALES) ?? "en";
  // From the root: the script that asks may be sent joined with others, under another address.
  messages = (await import(`/static/i18n/${found}.js`)).default;
  // Not before: what is drawn meanwhile is in the old language, and known as such.
  language = found;
  document.documentElement.lang = LOCALES[language];
}

/** Switches language, and remembers it. */
export async function useLanguage(name) {
  setPreference("language", name);
  await loadCatalog();
}

export const currentLanguage = () => language;
export const locale = () => LOCALES[language];

/** The text of `key` with `{name}` replaced from `values`; the key itself shows that a text is missing. */
export function t(key, values = {}) {
  return (messages[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Text for a count: `key.one` or `key.other`, as both languages count. */
export function plural(key, count, values = {}) {
  return t(`${key}.${count === 1 ? "one" : "other"}`, { n: count.toLocaleString(locale()), ...values });
}

/** Text for a value that the service names, such as a stage; an unknown value is shown as it is. */
export function name(group, value) {
  return messages[`${group}.${value}`] ?? String(value);
}
