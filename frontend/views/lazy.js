// Views that few operators open are loaded when they are opened.
import { h } from "../lib/dom.js";

/** A view in place of the one that `load` promises, until it is there. */
export function lazyView(title, load, isBare = false) {
  return (context) => {
    const resources = [];
    let view = null;

    async function complete() {
      view = (await load())(context);
      for (const one of view.resources) {
        one.onLoaded = context.draw;
        one.refresh();
      }
      resources.push(...view.resources);
      context.draw();
    }

    complete();
    return { title, isBare, resources, render: () => view?.render() ?? h("div", { "aria-busy": "true" }) };
  };
}
