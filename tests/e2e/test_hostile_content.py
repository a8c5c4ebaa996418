"""Whatever a portal, a customer or an operator writes is text on the page, and stays in its place."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.desk_views import go, without
from tests.running_ops import RunningOps, event

MARKUP = '<img src=/x onerror="window.ran=1"><script>window.ran=1</script>{{7*7}}\'"&lt;'
BIDI = "\u202egnp.exe\u2066 \u200f"
HOSTILE = MARKUP + BIDI
HUGE = "W" * 60_000
NARROW = 320

# Direction marks that are not fenced in would turn round what stands beside them.
UNFENCED = """() => {
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const parent = walker.currentNode.parentElement;
        if (!/[\\u202e\\u2066]/.test(walker.currentNode.data) || parent.closest('bdi, option')) continue;
        const fence = getComputedStyle(parent).display;
        const alone = parent.childNodes.length === 1 && /^(block|grid|list-item|table-cell)$/.test(fence);
        if (!alone) found.push(`${parent.tagName} ${parent.className} ${fence}`);
    }
    return found;
}"""
MADE = "img[src='/x'], main script, main iframe, [onerror], [onclick]"


@pytest.fixture
def hostile(ops: RunningOps) -> RunningOps:
    """Three sessions whose every free field is hostile, one of them failed, one huge; and their tickets."""
    fields: dict[str, dict[str, Any]] = {
        "onboarding.started": {HOSTILE: HOSTILE, "deep": [[{"a": HOSTILE}]]},
        "domain.validated": {"mx": [HOSTILE, HOSTILE]},
        "dns.applied": {"applied": [HOSTILE], "provider": HOSTILE},
        "account.created": {"account": HOSTILE, "email": HOSTILE},
        "infra.synced": {"success": HOSTILE},
        "xss.img": {"__proto__": HOSTILE, "constructor": HOSTILE},
        "onboarding.failed": {"step": HOSTILE, "code": HOSTILE, "reason": HOSTILE},
    }
    for event_type, data in fields.items():
        assert ops.send(event(event_type, "failed", data=data)).status_code == 201
    assert ops.send(event("onboarding.completed", "done", data={"infra_status": HOSTILE})).status_code == 201
    huge = {"step": "dns", "code": HUGE[:1000], "reason": HUGE}
    first = event("onboarding.failed", "huge", data=huge)
    assert ops.send(first).status_code == 201
    assert ops.send({**first, "data": {"step": HOSTILE}}).status_code == 409
    change = {"assignee": HOSTILE[-64:], "tags": ["a-tag"]}
    answer = ops.http.patch("/api/v1/desk/tickets/1", json=change, headers={"If-Match": "*"})
    assert answer.status_code == 200, answer.text
    for body in (HOSTILE, "W" * 10_000):
        assert ops.http.post("/api/v1/desk/tickets/1/notes", json={"body": body}).status_code == 201
    return ops


def addresses(ops: RunningOps) -> list[str]:
    """Every view that shows something of it, and addresses that are hostile themselves."""
    events = ops.get("/api/v1/events")["events"]
    sessions = [f"#/sessions/{name}" for name in ("failed", "done", "huge")]
    tickets = [f"#/tickets/{ticket['id']}" for ticket in ops.get("/api/v1/desk/tickets")["tickets"]]
    lists = ["#/", "#/tickets", "#/sessions", "#/events", "#/health"]
    encoded = "%3Cimg%20src%3D%2Fx%20onerror%3D%22window.ran%3D1%22%3E"
    crafted = [f"#/sessions?q={encoded}", f"#/tickets?tag={encoded}", f"#/{encoded}/{encoded}"]
    return [*lists, *sessions, *tickets, *(f"#/events/{one['position']}" for one in events), *crafted]


@pytest.mark.parametrize("language", ["en", "pt"])
def test_hostile_content_is_text_everywhere(
    hostile: RunningOps, desk: Page, page_complaints: list[str], language: str
) -> None:
    desk.locator("select[name=language]").select_option(language)
    desk.set_viewport_size({"width": NARROW, "height": 800})
    shown = 0
    for address in addresses(hostile):
        go(desk, address)
        desk.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert desk.locator(MADE).count() == 0, address
        assert desk.evaluate("window.ran") is None, address
        assert desk.evaluate(UNFENCED) == [], address
        assert desk.evaluate("document.documentElement.scrollWidth") <= NARROW, address
        shown += "<img src=/x onerror=" in desk.locator("main").inner_text()
    # Dashboard, two lists, the failed session and its ticket, and the events with data.
    assert shown >= 10
    without(page_complaints, "404")


def test_a_hostile_address_is_no_markup(desk: Page, page_complaints: list[str]) -> None:
    go(desk, "#/tickets/%3Cimg%20src%3D%2Fx%20onerror%3D%22window.ran%3D1%22%3E")
    expect(desk.get_by_role("heading", level=1)).to_contain_text("<img")
    assert desk.locator(MADE).count() == 0
    without(page_complaints, "404")


def test_a_huge_value_is_cut_in_the_timeline_and_whole_behind_its_link(
    hostile: RunningOps, desk: Page
) -> None:
    ticket = hostile.get("/api/v1/desk/tickets", q="huge")["tickets"][0]
    go(desk, f"#/tickets/{ticket['id']}")
    desk.locator("details.raw > summary").click()
    desk.locator("details.raw a").click()
    payload = desk.locator("pre.payload")
    expect(payload).to_be_visible()
    assert HUGE in payload.inner_text()
