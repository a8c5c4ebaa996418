// Views other than the first ones are loaded when they are opened.
import { t } from "../i18n/catalog.js";
import { h } from "../lib/dom.js";

/** A view in place of the one that `load` promises, until it is there; `title` gives its heading so far. */
export function lazyView(title, load, isBare = false) {
  return (context) => {
    const resources = [];
    let view = null;
    let failed = false;

    async function complete() {
      const open = await load().catch(() => null);
      if (open === null) {
        failed = true;
        return context.draw();
      }
      view = open(context);
      for (const one of view.resources) {
        one.onLoaded = context.draw;
        one.refresh();
      }
      resources.push(...view.resources);
      return context.draw();
    }

    const pending = () => (failed ? trouble() : h("div", { "aria-busy": "true" }));
    complete();
    return { title: () => view?.title?.() ?? title(), isBare, resources, actions: () => view?.actions?.() ?? null,
      render: () => view?.render() ?? pending() };
  };
}

// A browser remembers that a module could not be loaded for as long as the page lives.
function trouble() {
  return h("div", { class: "trouble", role: "alert" }, h("p", {}, t("error.unreachable")),
    h("button", { type: "button", onclick: () => location.reload() }, t("error.retry")));
}
