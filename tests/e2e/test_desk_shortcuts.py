"""Single-key shortcuts: they go where they say, stay out of inputs, and can be switched off."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.desk_views import go
from tests.e2e.test_desk_page import wizard_run
from tests.running_ops import RunningOps, event


@pytest.mark.parametrize(
    ("key", "heading"),
    [("s", "Sessions"), ("e", "Events"), ("t", "Tickets"), ("h", "Health"), ("d", "Dashboard")],
)
def test_g_and_a_letter_go_to_a_section(desk: Page, key: str, heading: str) -> None:
    go(desk, "#/events" if key != "e" else "#/tickets")
    desk.keyboard.press("g")
    desk.keyboard.press(key)
    expect(desk.get_by_role("heading", level=1)).to_have_text(heading)


def test_a_letter_without_g_goes_nowhere(desk: Page) -> None:
    for key in ("t", "g", "x", "t"):
        desk.keyboard.press(key)
    desk.keyboard.press("Control+g")
    desk.keyboard.press("t")
    expect(desk.get_by_role("heading", level=1)).to_have_text("Dashboard")


def test_rows_are_walked_and_opened(desk: Page, ops: RunningOps) -> None:
    for number in range(3):
        wizard_run(ops, f"run-{number}", 2, age=5 + number, domain=f"d{number}.pt")
    go(desk, "#/sessions")
    names = desk.locator("main .list tbody th a")
    expect(names).to_have_text(["d0.pt", "d1.pt", "d2.pt"])
    for key, focused in (("j", 0), ("j", 1), ("j", 2), ("j", 2), ("k", 1)):
        desk.keyboard.press(key)
        expect(names.nth(focused)).to_be_focused()
    desk.keyboard.press("Enter")
    expect(desk.get_by_role("heading", level=1)).to_have_text("d1.pt")
    expect(desk.locator("ol.timeline > li.event")).to_have_count(2)
    desk.keyboard.press("j")
    expect(desk.locator("ol.timeline .event-name").first).to_be_focused()


def test_slash_searches_and_what_is_typed_there_is_text(desk: Page, ops: RunningOps) -> None:
    desk.keyboard.press("/")
    search = desk.get_by_label("Domain or id")
    expect(search).to_be_focused()
    desk.keyboard.type("gt?p/jk")
    expect(search).to_have_value("gt?p/jk")
    expect(desk.get_by_role("heading", level=1)).to_have_text("Sessions")
    expect(desk.get_by_role("button", name="Pause")).to_be_visible()
    expect(desk.locator("dialog")).to_have_count(0)


def test_slash_opens_folded_filters(desk: Page) -> None:
    desk.set_viewport_size({"width": 320, "height": 700})
    go(desk, "#/tickets")
    expect(desk.get_by_label("Domain or id")).to_be_hidden()
    desk.keyboard.press("/")
    expect(desk.get_by_label("Domain or id")).to_be_focused()


def test_p_pauses_and_resumes(desk: Page) -> None:
    desk.keyboard.press("p")
    expect(desk.get_by_role("button", name="Resume")).to_be_visible()
    desk.keyboard.press("p")
    expect(desk.get_by_role("button", name="Pause")).to_be_visible()


def test_the_help_lists_them_and_switches_them_off(desk: Page) -> None:
    desk.keyboard.press("?")
    help_ = desk.get_by_role("dialog", name="Keyboard")
    expect(help_.locator("dd")).to_have_count(11)
    desk.keyboard.press("p")
    help_.get_by_label("Shortcuts are on").uncheck()
    desk.keyboard.press("Escape")
    expect(help_).to_have_count(0)
    for key in ("p", "g", "t", "?"):
        desk.keyboard.press(key)
    expect(desk.get_by_role("button", name="Pause")).to_be_visible()
    expect(desk.get_by_role("heading", level=1)).to_have_text("Dashboard")
    desk.reload()
    desk.get_by_role("button", name="Keyboard").click()
    desk.get_by_label("Shortcuts are on").check()
    desk.get_by_role("button", name="Close").click()
    desk.keyboard.press("?")
    expect(desk.get_by_role("dialog")).to_contain_text(re.compile("Pause or resume"))


def test_what_is_folded_away_is_stepped_over(desk: Page, ops: RunningOps) -> None:
    for event_type in ("onboarding.started", *["portal.ping"] * 3, "domain.validated"):
        assert ops.send(event(event_type, "again")).status_code == 201
    go(desk, "#/sessions/again")
    names = desk.locator("ol.timeline:not(.nested) > .event .event-name")
    fold = desk.locator(".folded summary")
    for focused in (names.first, fold, names.last):
        desk.keyboard.press("j")
        expect(focused).to_be_focused()
    desk.keyboard.press("k")
    desk.keyboard.press("Enter")
    desk.keyboard.press("j")
    expect(desk.locator("ol.nested .event-name").first).to_be_focused()
