// The API token of this tab: kept in sessionStorage, gone when the tab closes.

const KEY = "ops.token";
const IN_HASH = /^#token=(.+)$/;

/** The stored token, or null. */
export function token() {
  return sessionStorage.getItem(KEY);
}

/** Stores the token for this tab. */
export function keepToken(value) {
  sessionStorage.setItem(KEY, value);
}

/** Forgets the token. */
export function dropToken() {
  sessionStorage.removeItem(KEY);
}

/** Moves a token out of `#token=…` into the store, leaving none in the address bar or the history. */
export function takeTokenFromAddress() {
  const match = IN_HASH.exec(location.hash);
  if (match === null) return;
  keepToken(decodeURIComponent(match[1]));
  history.replaceState(null, "", `${location.pathname}#/`);
}
