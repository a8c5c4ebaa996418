// Changes a live tree into a freshly rendered one in place, so that focus, scroll, selection, half-typed
// input and open <details> survive an update.
import { adoptHandlers } from "./dom.js";

let marks = 0;

/** Makes the children of `parent` equal `children`, reusing elements by `data-key`, else by position. */
export function morph(parent, children) {
  const lineage = lineageOf(document.activeElement, parent);
  patchChildren(parent, children);
  restoreFocus(lineage);
}

/** Renders `build()`, unless it stands in the document for the same `token`: then a stub that `morph` leaves alone. */
export function memo() {
  let last = null;
  let mark = null;
  return (token, build) => {
    const stands = token === last && document.querySelector(`[data-memo="${mark}"]`) !== null;
    if (!stands) mark = nextMark();
    last = token;
    const element = stands ? document.createElement("div") : build();
    element.dataset.memo = mark;
    return element;
  };
}

function nextMark() {
  marks += 1;
  return String(marks);
}

function patchChildren(parent, fresh) {
  const keyed = keepWanted(parent, fresh);
  let cursor = parent.firstChild;
  for (const next of fresh) {
    const match = matchFor(next, cursor, keyed);
    if (match === null) parent.insertBefore(next, cursor);
    else {
      if (match === cursor) cursor = cursor.nextSibling;
      else parent.insertBefore(match, cursor);
      patch(match, next);
    }
  }
  removeFrom(cursor);
}

// Rows that are gone leave first: otherwise each row below one of them would have to be moved.
function keepWanted(parent, fresh) {
  const wanted = new Set(fresh.map(keyOf).filter((key) => key !== null));
  const keyed = new Map();
  for (const child of [...parent.childNodes]) {
    const key = keyOf(child);
    if (key === null) continue;
    if (wanted.has(key)) keyed.set(key, child);
    else child.remove();
  }
  return keyed;
}

function matchFor(next, cursor, keyed) {
  const key = keyOf(next);
  if (key === null) return isAlike(cursor, next) ? cursor : null;
  const match = keyed.get(key);
  if (match === undefined || match.nodeName !== next.nodeName) return null;
  keyed.delete(key);
  return match;
}

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null;
}

function isAlike(old, next) {
  return old !== null && old.nodeName === next.nodeName && keyOf(old) === null;
}

function isUnchanged(old, next) {
  return old.dataset.memo !== undefined && old.dataset.memo === next.dataset.memo;
}

function patch(old, next) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  if (isUnchanged(old, next)) return;
  patchAttributes(old, next);
  adoptHandlers(old, next);
  patchChildren(old, [...next.childNodes]);
  if (old.nodeName === "TEXTAREA") old.value = next.value;
}

function patchAttributes(old, next) {
  for (const { name, value } of [...next.attributes]) {
    if (old.getAttribute(name) !== value && !isTheReaders(old, name)) setAttribute(old, name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && !isTheReaders(old, name)) removeAttribute(old, name);
  }
  if (old.style.cssText !== next.style.cssText) old.style.cssText = next.style.cssText;
}

// Whether <details> is open, and where focus was put, is the reader's business and not the renderer's.
function isTheReaders(element, name) {
  return name === "style" || name === "tabindex" || (name === "open" && element.nodeName === "DETAILS");
}

function setAttribute(element, name, value) {
  element.setAttribute(name, value);
  if (name === "value" && element.nodeName === "INPUT") element.value = value;
  if (name === "selected" || name === "checked") element[name] = true;
}

function removeAttribute(element, name) {
  element.removeAttribute(name);
  if (name === "selected" || name === "checked") element[name] = false;
}

function removeFrom(cursor) {
  while (cursor !== null) {
    const following = cursor.nextSibling;
    cursor.remove();
    cursor = following;
  }
}

function lineageOf(element, root) {
  const lineage = [];
  for (let node = element; node && root.contains(node); node = node.parentElement) lineage.push(node);
  return lineage;
}

// Moving an element blurs it, and removing one drops focus to the page's top: put it back as near as can be.
function restoreFocus(lineage) {
  const [focused] = lineage;
  if (focused === undefined || document.activeElement === focused) return;
  const nearest = lineage.find((element) => element.isConnected);
  if (nearest === undefined) return;
  if (nearest.tabIndex < 0) nearest.setAttribute("tabindex", "-1");
  nearest.focus({ preventScroll: true });
}
