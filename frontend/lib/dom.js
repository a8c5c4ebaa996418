// Builds elements. Children are nodes or become text nodes, so no payload is ever read as markup.

const handlersOf = new WeakMap();

/** Builds an element; `on…` props are listeners, `style` is a map of CSS properties, null and false are left out. */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const name in props) setProp(element, name, props[name]);
  append(element, children);
  return element;
}

/** Gives `kept` the listeners of `fresh`, the element that was rendered in its stead. */
export function adoptHandlers(kept, fresh) {
  const wanted = handlersOf.get(fresh) ?? {};
  const present = handlersOf.get(kept) ?? {};
  for (const type of Object.keys(wanted)) {
    if (!(type in present)) kept.addEventListener(type, dispatch);
  }
  handlersOf.set(kept, wanted);
}

function setProp(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) listen(element, name.slice(2), value);
  else if (name === "style") setStyles(element, value);
  else element.setAttribute(name, value === true ? "" : String(value));
}

function listen(element, type, handler) {
  handlersOf.set(element, { ...handlersOf.get(element), [type]: handler });
  element.addEventListener(type, dispatch);
}

function dispatch(event) {
  handlersOf.get(event.currentTarget)?.[event.type]?.(event);
}

// The style attribute is forbidden by the page's content security policy; the style object is not.
function setStyles(element, styles) {
  for (const [property, value] of Object.entries(styles)) element.style.setProperty(property, value);
}

// Nested children are flattened; null, undefined and booleans vanish. What is no node becomes text.
function append(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child !== null && child !== undefined && typeof child !== "boolean") {
      element.appendChild(child.nodeType ? child : document.createTextNode(child));
    }
  }
}
