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
      failed = false;
      try {
        view = (await load())(context);
      } catch {
        failed = true;
        return context.draw();
      }
      for (const one of view.resources) {
        one.onLoaded = context.draw;
        one.refresh();
      }
      resources.push(...view.resources);
      return context.draw();
    }

    const pending = () => (failed ? trouble(complete) : h("div", { "aria-busy": "true" }));
    complete();
    return { title: () => view?.title() ?? title(), isBare, resources, actions: () => view?.actions?.() ?? null,
      render: () => view?.render() ?? pending() };
  };
}

function trouble(onclick) {
  return h("div", { class: "trouble", role: "alert" }, h("p", {}, t("error.unreachable")),
    h("button", { type: "button", onclick }, t("error.retry")));
}
