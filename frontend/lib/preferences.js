// What the operator chose, kept in this browser.

const DEFAULTS = { theme: "auto", language: null, zone: "local", order: "oldest", window: "48", shortcuts: "on" };

// A long timeline asks thousands of times. What another tab chooses counts here, too.
const known = new Map();
window.onstorage = () => known.clear();

/** The stored choice, or the default. */
export function preference(name) {
  if (!known.has(name)) known.set(name, localStorage.getItem(`ops.${name}`) ?? DEFAULTS[name]);
  return known.get(name);
}

/** Stores a choice; null forgets it. */
export function setPreference(name, value) {
  known.delete(name);
  if (value === null) localStorage.removeItem(`ops.${name}`);
  else localStorage.setItem(`ops.${name}`, value);
}

/** Shows the chosen theme: `light`, `dark`, or `auto` for the system's. */
export function applyTheme() {
  const theme = preference("theme");
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}
