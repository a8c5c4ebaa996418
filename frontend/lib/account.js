// Who is signed in, as far as this page knows. The session itself is a cookie that no script can read.

const SCOPES = ["read", "write", "admin"];
const HINT = "ops.signed-in";
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
  if (value?.kind === "user") localStorage.setItem(HINT, "1");
  else localStorage.removeItem(HINT);
}

/** True when asking the service who we are may have an answer. */
export const mayBeSignedIn = () => localStorage.getItem(HINT) !== null;
