"""An operator who has no mouse finds a customer who is stuck, and helps."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OPERATOR
from tests.e2e.desk_views import texts, use_language
from tests.people import PASSWORD
from tests.running_ops import RunningOps

MOST_TABS = 150


def tab_to(page: Page, selector: str, text: str = "", key: str = "Tab") -> None:
    """Press Tab until an element of that kind, with that text, has the focus. It must be seen to have it."""
    reached = """([selector, text]) => {
        const focused = document.activeElement;
        return focused.matches(selector) && focused.innerText.trim().startsWith(text);
    }"""
    for _ in range(MOST_TABS):
        page.keyboard.press(key)
        if page.evaluate(reached, [selector, text]):
            ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert ring != "none", f"{selector} does not show that it has the focus"
            return
    raise AssertionError(f"Tab never comes to {selector} {text}")


@pytest.mark.parametrize("language", ["en", "pt"])
def test_from_the_dashboard_to_a_resolved_ticket_by_keyboard(
    demo: RunningOps, page: Page, language: str
) -> None:
    page.goto(demo.url)
    tab_to(page, "input[name=name]")
    page.keyboard.type(OPERATOR)
    tab_to(page, "input[type=password]")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.locator("#funnel .tiles").wait_for()
    use_language(page, language)
    text = texts(page, language)
    ticket_id = find_who_is_stuck(page, demo, text)
    take_note_and_resolve(page, text)
    ticket = demo.get(f"/api/v1/desk/tickets/{ticket_id}")
    assert (ticket["status"], ticket["assignee"]) == ("resolved", "Ana")
    assert "Rang the customer" in [note["body"] for note in ticket["notes"]]


def find_who_is_stuck(desk: Page, demo: RunningOps, text: dict[str, str]) -> int:
    """From the dashboard to the ticket of a session that stalled with an account; the ticket's id."""
    tab_to(desk, "nav a", text["nav.sessions"])
    desk.keyboard.press("Enter")
    expect(desk.get_by_role("heading", level=1)).to_be_focused()
    tab_to(desk, "select[name=stage]")
    desk.keyboard.type(text["stage.account_created"])
    tab_to(desk, "input[name=state][value=stalled]")
    desk.keyboard.press("Space")
    tab_to(desk, "button[type=submit]", text["filter.apply"])
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/#/sessions?*state=stalled*")
    rows = desk.locator("main table tbody tr")
    stuck = demo.get("/api/v1/onboard/sessions", stage="account_created", state="stalled")
    expect(rows).to_have_count(stuck["total"])

    tab_to(desk, "main table tbody a")
    desk.keyboard.press("Enter")
    session = stuck["sessions"][0]
    expect(desk.locator("#session .badge-stalled")).to_be_visible()
    tab_to(desk, "#session a[href^='#/tickets/']")
    desk.keyboard.press("Enter")
    desk.wait_for_url(f"**/#/tickets/{session['ticket_id']}")
    return int(session["ticket_id"])


def take_note_and_resolve(desk: Page, text: dict[str, str]) -> None:
    """On a ticket: make it one's own, write down what was done, and resolve it."""
    saved = desk.locator(".ticket-form [role=status]")
    tab_to(desk, "select[name=status]")
    desk.keyboard.type(text["status.in_progress"])
    tab_to(desk, "input[name=assignee]")
    desk.keyboard.type("Ana")
    tab_to(desk, "button", text["save"])
    desk.keyboard.press("Enter")
    expect(saved).to_have_text(text["ticket.saved"])
    tab_to(desk, "textarea")
    desk.keyboard.type("Rang the customer")
    tab_to(desk, "button", text["note.add"])
    desk.keyboard.press("Enter")
    expect(desk.locator(".notes .note-body", has_text="Rang the customer")).to_be_visible()
    tab_to(desk, "select[name=status]", key="Shift+Tab")
    desk.keyboard.type(text["status.resolved"])
    tab_to(desk, "button", text["save"])
    desk.keyboard.press("Enter")
    expect(desk.locator("#ticket .badge-status-resolved")).to_be_visible()
