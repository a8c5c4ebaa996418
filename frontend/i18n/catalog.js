// Looks up text in the catalog of the operator's language.
import { preference, setPreference } from "../lib/preferences.js";
import { ONBOARDING_TEXTS } from "./onboarding.js";
import { PAGE_TEXTS } from "./page.js";

const LOCALES = { pt: "pt-PT", en: "en-GB" };
const CATALOG = { ...PAGE_TEXTS, ...ONBOARDING_TEXTS };
let language = "en";

export const LANGUAGES = Object.keys(LOCALES);

/** Speaks the chosen language, or the browser's, or English. */
export function chooseLanguage() {
  const wanted = [preference("language"), ...navigator.languages].map((tag) => tag?.slice(0, 2).toLowerCase());
  language = wanted.find((tag) => tag in LOCALES) ?? "en";
  document.documentElement.lang = LOCALES[language];
}

/** Switches language, and remembers it. */
export function useLanguage(name) {
  setPreference("language", name);
  chooseLanguage();
}

export const currentLanguage = () => language;
export const locale = () => LOCALES[language];

/** The text of `key` with `{name}` replaced from `values`; the key itself shows that a text is missing. */
export function t(key, values = {}) {
  return (find(key) ?? key).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Text for a count: `key.one` or `key.other`, as both languages count. */
export function plural(key, count, values = {}) {
  return t(`${key}.${count === 1 ? "one" : "other"}`, { n: count.toLocaleString(locale()), ...values });
}

/** Text for a value that the service names, such as a stage; an unknown value is shown as it is. */
export function name(group, value) {
  return find(`${group}.${value}`) ?? String(value);
}

function find(key) {
  const texts = CATALOG[key];
  return Array.isArray(texts) ? texts[language === "en" ? 0 : 1] : texts;
}
