// Who is signed in, as far as this page knows. The session itself is a cookie that no script can read.

export const SCOPES = ["read", "write", "admin"];
const SIGNED_IN = "ops.signed-in";
let me = null;

/** {name, kind, scope}, or null. */
export const account = () => me;

/** True when the operator's role allows what needs `scope`. */
export function may(scope) {
  return me !== null && SCOPES.indexOf(me.scope) >= SCOPES.indexOf(scope);
}

/** Notes who has signed in; null: nobody. */
export function setAccount(value) {
  me = value;
  if (value?.kind === "user") localStorage.setItem(SIGNED_IN, value.name);
  else localStorage.removeItem(SIGNED_IN);
}

/** True when asking the service who we are may have another answer than `account`: this tab's token, or a name of this browser. */
export function isToBeAsked() {
  const name = localStorage.getItem(SIGNED_IN);
  return token() === null ? name !== null && name !== me?.name : me === null;
}

// An API token for this tab, for a screen on the wall: from `#token=…`, gone when the tab closes. People sign in.
const TOKEN = "ops.token";
const IN_HASH = /^#token=(.+)$/;

/** The stored token, or null. */
export function token() {
  return sessionStorage.getItem(TOKEN);
}

/** Forgets the token. */
export function dropToken() {
  sessionStorage.removeItem(TOKEN);
}

/** True after moving a token out of `#token=…` into the store, leaving none in the address bar or the history. */
export function takeTokenFromAddress() {
  const match = IN_HASH.exec(location.hash);
  if (match === null) return false;
  sessionStorage.setItem(TOKEN, match[1]);
  history.replaceState(null, "", `${location.pathname}#/`);
  return true;
}
