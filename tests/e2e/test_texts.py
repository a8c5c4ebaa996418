"""All the desk's own words stand in its catalogs."""

from typing import Any

from playwright.sync_api import Page, Route

from tests.e2e.conftest import enter
from tests.e2e.desk_views import SAID_BY_THE_SERVICE, answering, show, texts, views, without
from tests.running_ops import RunningOps

# What is left of the page when the catalog's texts, which are marked here, and what the service or Intl
# wrote are taken away.
FOREIGN = """SAID => {
    const data = 'bdi, code, pre, time, .when, .event-name, .gap, noscript';
    const own = /⟦[^⟦⟧]*⟧/gu;
    const strip = text => text.replace(own, '').replace(own, '').replace(/[\\w-]+\\.pt\\b/gu, '')
        .replace(/\\b(onboarding|domain|dns|account|infra|mailbox)\\.\\w+/gu, '').replace(SAID, '')
        .replace(/\\b[0-9a-f]{16}\\b/gu, '').replace(/\\d+\\s?(s|m|h|d)\\b/gu, '')
        .replace(/#\\d+ [a-z_.]+/gu, '').replace(/\\b[A-Z][a-z]{2},? \\d+ [A-Z][a-z]{2}\\b/gu, '');
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const parent = walker.currentNode.parentElement;
        if (parent.closest(data)) continue;
        if (/\\p{L}/u.test(strip(walker.currentNode.data))) found.push(walker.currentNode.data);
    }
    for (const name of ['aria-label', 'placeholder', 'alt', 'data-label']) {
        for (const element of document.querySelectorAll(`[${name}]`)) {
            const text = element.getAttribute(name);
            if (!text.includes('⟦')) found.push(`${name}=${text}`);
        }
    }
    return found;
}"""


def test_every_text_is_there_in_both_languages_with_the_same_names_in_it(desk: Page) -> None:
    english, portuguese = texts(desk, "en"), texts(desk, "pt")
    assert len(english) > 200
    assert sorted(english) == sorted(portuguese)
    assert [key for key in english if not english[key].strip() or not portuguese[key].strip()] == []
    assert {key: names(english[key]) for key in english} == {key: names(portuguese[key]) for key in english}


def names(text: str) -> list[str]:
    """The placeholders of a text."""
    return sorted(part.split("}")[0] for part in text.split("{")[1:])


def test_no_word_on_the_page_stands_outside_the_catalog(
    demo: RunningOps, page: Page, page_complaints: list[str]
) -> None:
    page.route("**/static/i18n/en.js", mark_every_text)
    desk = enter(page, demo)
    found: dict[str, Any] = {}
    for state in ("loaded", "loading", "error"):
        with answering(desk, state):
            for view in views(demo):
                show(desk, state, view.address)
                if foreign := desk.evaluate(FOREIGN, SAID_BY_THE_SERVICE):
                    found[f"{view.name}, {state}"] = foreign
    assert found == {}
    without(page_complaints, "503")


def mark_every_text(route: Route) -> None:
    """Answer with the catalog, each of its texts between brackets."""
    source = route.fetch().text()
    source = source.replace("export default {", "const own = {", 1)
    source += "const mark = ([key, text]) => [key, `⟦${text}⟧`];\n"
    source += "export default Object.fromEntries(Object.entries(own).map(mark));\n"
    route.fulfill(body=source, content_type="text/javascript")
