"""No view, in any state, language, theme and width, breaks a rule of axe, overflows or hides its text."""

from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Page

from ops_service.auth import links
from tests.e2e.conftest import open_desk
from tests.e2e.desk_views import View, answering, show, use_language, views, without
from tests.running_ops import RunningOps

AXE: Final = (Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js").read_text()
EVERY_RULE: Final = {"rules": {"target-size": {"enabled": True}}, "resultTypes": ["violations"]}
OF_COLOUR: Final = {"runOnly": ["color-contrast", "link-in-text-block"], "resultTypes": ["violations"]}
"""The rules whose verdict may differ from one theme to the other."""
RUN: Final = """async options => (await axe.run(document, options)).violations.flatMap(
    rule => rule.nodes.map(node => `${rule.id}: ${node.target.join(' ')} ${node.failureSummary}`))"""
# Text that is there for screen readers only is clipped to a pixel on purpose.
SHAPELESS: Final = """() => {
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const { data, parentElement: parent } = walker.currentNode;
        if (data.trim() === '' || !parent.checkVisibility({ contentVisibilityAuto: true })) continue;
        if (parent.closest('noscript, option, .visually-hidden, caption, thead, .skip')) continue;
        const range = document.createRange();
        range.selectNodeContents(walker.currentNode);
        const { width, height } = range.getBoundingClientRect();
        if (width < 1 || height < 8) found.push(`${parent.tagName} ${data} ${width}x${height}`);
    }
    return found;
}"""
THEMES: Final[dict[Literal["light", "dark"], Any]] = {"light": EVERY_RULE, "dark": OF_COLOUR}
WIDTHS: Final = (320, 768, 1280)
TALL: Final = 6000
"""What lies below the screen is not drawn before it is scrolled to, and what is not drawn is not judged."""


def faults(desk: Page, width: int) -> list[str]:
    """What is wrong with the page as it stands, in both themes."""
    found: list[str] = []
    for theme, rules in THEMES.items():
        desk.emulate_media(color_scheme=theme, reduced_motion="reduce")
        found += [f"{theme}: {violation}" for violation in desk.evaluate(RUN, rules)]
    found += desk.evaluate(SHAPELESS)
    wide: int = desk.evaluate("document.documentElement.scrollWidth")
    return [*found, f"{wide} px wide"] if wide > width else found


def survey(desk: Page, state: str, width: int, shown: list[View]) -> dict[str, list[str]]:
    """The faults of each view in one state."""
    found: dict[str, list[str]] = {}
    with answering(desk, state):
        for view in shown:
            show(desk, state, view.address)
            if wrong := faults(desk, width):
                found[view.name] = wrong
    return found


def prepared(desk: Page, width: int, language: str) -> Page:
    """The desk with axe in it, of that width and language."""
    desk.set_viewport_size({"width": width, "height": TALL})
    use_language(desk, language)
    desk.evaluate(AXE)
    return desk


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", ["en", "pt"])
def test_every_view_is_accessible(demo_desk: Page, demo: RunningOps, width: int, language: str) -> None:
    prepared(demo_desk, width, language)
    assert survey(demo_desk, "loaded", width, views(demo)) == {}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("state", ["loading", "error"])
def test_every_view_is_accessible_without_answers(
    demo_desk: Page, demo: RunningOps, page_complaints: list[str], width: int, language: str, state: str
) -> None:
    prepared(demo_desk, width, language)
    assert survey(demo_desk, state, width, views(demo)) == {}
    if state == "error":
        without(page_complaints, "503")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", ["en", "pt"])
def test_the_ways_in_are_accessible(ops: RunningOps, page: Page, width: int, language: str) -> None:
    with ops.database.write() as connection:
        link = links.address_of(ops.url, links.create(connection, None, ops.app.state.clock()))
    page.set_viewport_size({"width": width, "height": TALL})
    page.add_init_script(f"localStorage.setItem('ops.language', '{language}')")
    for address in (ops.url, link):
        page.goto(address)
        page.locator("form input[type=password]").first.wait_for()
        assert page.locator("html").get_attribute("lang") == {"en": "en-GB", "pt": "pt-PT"}[language]
        page.evaluate(AXE)
        assert faults(page, width) == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", ["en", "pt"])
def test_every_view_is_accessible_before_anything_came(
    ops: RunningOps, page: Page, page_complaints: list[str], width: int, language: str
) -> None:
    desk = prepared(open_desk(page, ops, "admin"), width, language)
    assert survey(desk, "empty", width, views(ops)) == {}
    without(page_complaints, "404")
