// Looks up text in the catalog of the operator's language.
import { preference, setPreference } from "../lib/preferences.js";

const LOCALES = { pt: "pt-PT", en: "en-GB" };
let language = "en";
let messages = {};

export const LANGUAGES = Object.keys(LOCALES);

/** Loads the chosen language's catalog, or the browser's, or English. */
export async function loadCatalog() {
  language = chosenLanguage();
  messages = (await import(`./${language}.js`)).default;
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
  const text = messages[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Text for a count: `key.one` or `key.other`, as the language counts. */
export function plural(key, count, values = {}) {
  const form = new Intl.PluralRules(locale()).select(count) === "one" ? "one" : "other";
  const shown = new Intl.NumberFormat(locale()).format(count);
  return t(`${key}.${form}`, { n: shown, ...values });
}

/** Text for a value that the service names, such as a stage; an unknown value is shown as it is. */
export function name(group, value) {
  return messages[`${group}.${value}`] ?? String(value);
}

function chosenLanguage() {
  const wanted = [preference("language"), ...navigator.languages];
  const known = wanted.map((tag) => tag?.slice(0, 2).toLowerCase()).find((tag) => tag in LOCALES);
  return known ?? "en";
}
