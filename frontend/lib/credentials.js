// An API token for this tab, for a screen on the wall: from `#token=…`, gone when the tab closes. People sign in.

const KEY = "ops.token";
const IN_HASH = /^#token=(.+)$/;

/** The stored token, or null. */
export function token() {
  return sessionStorage.getItem(KEY);
}

function keepToken(value) {
  sessionStorage.setItem(KEY, value);
}

/** Forgets the token. */
export function dropToken() {
  sessionStorage.removeItem(KEY);
}

/** True after moving a token out of `#token=…` into the store, leaving none in the address bar or the history. */
export function takeTokenFromAddress() {
  const match = IN_HASH.exec(location.hash);
  if (match === null) return false;
  keepToken(decodeURIComponent(match[1]));
  history.replaceState(null, "", `${location.pathname}#/`);
  return true;
}
