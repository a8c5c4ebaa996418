// Addresses live in the hash: `#/sessions?state=stalled`. Filters are part of the address.

/** The current address as a path without a trailing slash, its segments and its query. */
export function currentRoute() {
  const [path, search = ""] = location.hash.replace(/^#/, "").split("?", 2);
  const segments = path.split("/").filter(Boolean).map(decode);
  return { path: `/${segments.join("/")}`, segments, query: new URLSearchParams(search) };
}

/** An address for `path` with the given parameters; null and undefined are left out, arrays repeat. */
export function address(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of [value].flat()) if (one !== null && one !== undefined) query.append(name, one);
  }
  const search = query.toString();
  return search === "" ? `#${path}` : `#${path}?${search}`;
}

/** Goes to an address, as a click on a link would. */
export function navigate(hash) {
  location.hash = hash;
}

function decode(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
