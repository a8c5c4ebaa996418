"""What the lists offer: CSV files, queues of tickets, reasons for emptiness; provenance; health's lists."""

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ops_service.events import parameters
from projections.onboarding import fold
from projections.onboarding.events import Event
from projections.onboarding.fold import Effect, Session
from tests.e2e.desk_views import go
from tests.e2e.test_desk_page import change_ticket, wizard_run
from tests.e2e.test_hostile_content import MARKUP
from tests.running_ops import OTHER_KEY, OTHER_SOURCE, RunningOps, event


def saved(desk: Page) -> list[dict[str, str]]:
    with desk.expect_download() as downloading:
        desk.get_by_role("button", name="CSV").click()
    content = Path(downloading.value.path()).read_text("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content, newline="")))


def test_each_list_is_saved_as_it_is_filtered(desk: Page, ops: RunningOps) -> None:
    for number in range(3):
        wizard_run(ops, f"run-{number}", 4, failed=number == 0)
    expect(desk.locator(".tile-total .tile-count")).to_have_text("3")
    assert saved(desk)[0]["reached"] == "3"
    for address, column, wanted in (
        ("#/sessions?state=failed&limit=1", "session_id", ["run-0"]),
        ("#/events?session_id=run-1&order=asc&limit=2", "position", ["6", "7", "8", "9"]),
        ("#/tickets?stage=account_created&limit=1", "session_id", ["run-2", "run-1"]),
    ):
        go(desk, address)
        assert [row[column] for row in saved(desk)] == wanted


def test_a_file_that_cannot_be_had_is_explained(
    desk: Page, ops: RunningOps, page_complaints: list[str]
) -> None:
    go(desk, "#/sessions?as_of=2026-01-01T00:00:00Z")
    desk.get_by_role("button", name="CSV").click()
    expect(desk.locator(".title-row [role=alert]")).to_contain_text("is needed with as_of")
    assert all("422" in complaint for complaint in page_complaints)
    page_complaints.clear()


def test_the_queues_of_tickets(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "ready", 6, domain="ready.pt")
    wizard_run(ops, "idle", 4, age=200, domain="idle.pt")
    wizard_run(ops, "broken", 2, failed=True, domain="broken.pt")
    change_ticket(ops, assignee="Ana")
    go(desk, "#/tickets")
    names = desk.locator("main .list tbody th a")
    expect(names).to_have_count(3)
    for queue, found in (
        ("Ready for Ops", "#1 ready.pt"),
        ("Stalled", "#2 idle.pt"),
        ("Failed", "#3 broken.pt"),
    ):
        link = desk.locator(".queues").get_by_role("link", name=queue)
        link.click()
        expect(names).to_have_text([found])
        expect(link).to_have_attribute("aria-current", "true")
    desk.locator(".queues").get_by_role("link", name="nobody").click()
    expect(names).to_have_text(["#3 broken.pt", "#2 idle.pt"])
    desk.get_by_label("Domain or id").fill("idle")
    desk.get_by_label("Domain or id").press("Enter")
    expect(names).to_have_text(["#2 idle.pt"])
    assert desk.url.endswith("#/tickets?q=idle&status=open&assignee=")
    row = desk.locator("main .list tbody tr", has_text="idle.pt")
    expect(row.locator(".badge-stalled")).to_have_text("stalled")
    expect(row.locator("[data-label='Time in stage']")).to_have_text("3h 19m")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("#/sessions", "No session yet"),
        ("#/events", "No event has come yet"),
        ("#/tickets", "No ticket yet"),
    ],
)
def test_an_empty_list_says_why_and_how_to_fill_it(
    desk: Page, ops: RunningOps, address: str, reason: str
) -> None:
    go(desk, address)
    empty = desk.locator("main .empty")
    expect(empty).to_contain_text(reason)
    expect(empty.locator("code")).to_have_text(f"scripts/verify-funnel-webhook.sh {ops.url}")
    go(desk, f"{address}?{'source' if address == '#/events' else 'q'}=x")
    expect(empty).to_contain_text("matches")
    empty.get_by_role("link", name="Clear").click()
    expect(empty).to_contain_text(reason)


def test_a_page_of_a_long_log_in_which_nothing_was_found_leads_on(
    desk: Page, ops: RunningOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameters, "LOOKED_THROUGH", 2)
    assert ops.send(event("onboarding.started", "rare"), key=OTHER_KEY).status_code == 201
    wizard_run(ops, "usual", 4)
    go(desk, f"#/events?source={OTHER_SOURCE}")
    expect(desk.get_by_text("Nothing on this page.")).to_be_visible()
    for _ in range(2):
        desk.get_by_role("link", name="Next page").click()
    expect(desk.get_by_role("row")).to_have_count(2)
    expect(desk.get_by_role("row").last).to_contain_text("rare")


def test_a_session_says_which_event_set_what(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "one", 3)
    go(desk, "#/sessions/one")
    step = desk.locator("#stages li", has_text="DNS applied")
    expect(step.get_by_role("link", name="set by event #3 dns.applied")).to_have_text("#3")
    domain = desk.locator("#session .facts > div", has_text="Domain").get_by_role("link")
    domain.last.click()
    expect(desk.get_by_role("heading", level=1)).to_have_text("Event #1")


def test_times_turn_to_utc_beside_the_timeline(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "one", 1)
    go(desk, "#/sessions/one")
    switch = desk.get_by_role("button", name="UTC")
    expect(switch).to_have_attribute("aria-pressed", "false")
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "true")
    expect(desk.get_by_label("Times")).to_have_value("utc")
    expect(switch).to_be_focused()


def test_quarantined_events_are_listed_and_tried_again(
    desk: Page, ops: RunningOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = fold.apply

    def broken(session: Session, one: Event) -> Effect:
        if one.event_type == "dns.applied":
            raise KeyError(MARKUP)
        return healthy(session, one)

    monkeypatch.setattr(fold, "apply", broken)
    for session_id in ("s1", "s2"):
        assert ops.send(event("dns.applied", session_id)).status_code == 201
    go(desk, "#/health")
    card = desk.locator("#quarantine")
    rows = card.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("onerror")
    card.get_by_role("button", name="Retry session s1").click()
    expect(card.get_by_role("status")).to_have_text("Tried again: 1 event is still quarantined.")
    expect(rows).to_have_count(2)
    monkeypatch.setattr(fold, "apply", healthy)
    card.get_by_role("button", name="Retry session s1").click()
    expect(rows).to_have_count(1)
    card.get_by_role("button", name="Retry all").click()
    expect(card).to_contain_text("None. What the projection cannot read waits here")
    expect(card.get_by_role("status")).to_have_text("Tried again: 0 events are still quarantined.")
    assert desk.locator("main img, main script").count() == 0


def test_rejected_deliveries_are_shown_with_what_they_held(desk: Page, ops: RunningOps) -> None:
    first = event("dns.applied", "s1", data={"note": "first"})
    assert ops.send(first).status_code == 201
    assert ops.send({**first, "data": {"note": MARKUP}}).status_code == 409
    go(desk, "#/health")
    row = desk.locator("#rejected tbody tr")
    expect(row).to_contain_text("409")
    row.locator("summary").click()
    expect(row.locator("pre")).to_contain_text("onerror")
    assert desk.locator("main img, main script").count() == 0
    expect(desk.locator("#projection")).to_contain_text("Last verify")


def test_an_error_keeps_what_was_loaded_and_says_how_old_it_is(
    desk: Page, ops: RunningOps, page_complaints: list[str]
) -> None:
    wizard_run(ops, "one", 2)
    expect(desk.locator(".tile-total .tile-count")).to_have_text("1")
    problem = '{"title": "Service Unavailable", "detail": "busy", "status": 503}'
    headers = {"content-type": "application/problem+json", "x-request-id": "feedbeef"}
    desk.route("**/onboard/funnel*", lambda route: route.fulfill(status=503, headers=headers, body=problem))
    wizard_run(ops, "two", 1)
    trouble = desk.locator("#funnel .trouble")
    expect(trouble).to_contain_text("The service is busy")
    expect(trouble).to_contain_text("Request feedbeef")
    expect(trouble).to_contain_text("What you see was loaded at")
    # An answer that was on its way when the trouble began may have had the second session in it.
    expect(desk.locator(".tile-total .tile-count")).to_have_text(re.compile("[12]"))
    desk.unroute("**/onboard/funnel*")
    trouble.get_by_role("button", name="Try again").click()
    expect(trouble).to_have_count(0)
    assert all("503" in complaint for complaint in page_complaints)
    page_complaints.clear()


def test_what_was_written_stands_in_the_timeline_and_never_folds(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "broken", 2, failed=True)
    for number in range(3):
        note = ops.http.post("/api/v1/desk/tickets/1/notes", json={"body": f"{number} {MARKUP}"})
        assert note.status_code == 201
    later = event("domain.validated", "broken", occurred_at="2099-01-01T00:00:00Z")
    assert ops.send(later).status_code == 201
    go(desk, "#/tickets/1")
    story = desk.locator("ol.timeline > li:not(.day)")
    expect(story).to_have_count(7)
    expect(story.nth(2)).to_contain_text("dns_timeout")
    for number in range(3):
        expect(story.nth(3 + number)).to_contain_text(f"{number} <img")
    expect(story.nth(6)).to_contain_text("clock ahead")
    desk.get_by_role("button", name="Show newest first").click()
    expect(story.nth(1)).to_contain_text("2 <img")
    go(desk, "#/sessions/broken")
    expect(story).to_have_count(4)


def test_who_may_only_read_is_offered_no_retry(
    desk: Page, ops: RunningOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(session: Session, one: Event) -> Effect:
        raise KeyError("kaputt")

    monkeypatch.setattr(fold, "apply", broken)
    assert ops.send(event("dns.applied", "s1")).status_code == 201
    desk.goto("about:blank")
    desk.goto(f"{ops.url}/#token={ops.tokens['read']}")
    desk.get_by_role("heading", name="Dashboard").wait_for()
    go(desk, "#/health")
    expect(desk.locator("#quarantine tbody tr")).to_have_count(1)
    expect(desk.get_by_role("button", name="Retry")).to_have_count(0)


def test_closed_filters_stay_closed(desk: Page, ops: RunningOps) -> None:
    go(desk, "#/sessions")
    filters = desk.locator("details.filter-panel")
    expect(filters).to_have_attribute("open", "")
    filters.locator("summary").click()
    wizard_run(ops, "one", 1)
    expect(desk.locator("main .list tbody tr")).to_have_count(1)
    assert filters.get_attribute("open") is None


def test_the_next_page_asks_for_nobody_s_tickets_too(desk: Page, ops: RunningOps) -> None:
    for number in range(3):
        wizard_run(ops, f"run-{number}", 2, failed=True, domain=f"d{number}.pt")
    change_ticket(ops, assignee="Ana")
    go(desk, "#/tickets?assignee=&limit=1")
    desk.get_by_role("link", name="Next page").click()
    expect(desk.locator("main .list tbody th a")).to_have_text(["#2 d1.pt"])
    expect(desk.get_by_role("link", name="Next page")).to_have_count(0)


def test_back_leads_to_where_one_was_in_a_list(desk: Page, ops: RunningOps) -> None:
    batch = [event("onboarding.started", f"run-{number}") for number in range(50)]
    assert ops.send_batch(batch).status_code == 200
    go(desk, "#/sessions")
    desk.locator("main .list tbody th a").nth(40).scroll_into_view_if_needed()
    desk.wait_for_timeout(300)  # until the scrolling has ended
    place = desk.evaluate("scrollY")
    assert place > 500
    desk.locator("main .list tbody th a").nth(40).click()
    desk.locator("#history .timeline").wait_for()
    assert desk.evaluate("scrollY") == 0
    desk.go_back()
    desk.wait_for_function("place => scrollY === place", arg=place)


def test_an_instant_that_nobody_edits_keeps_its_exact_value(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "one", 1)
    since = "2026-01-25T01%3A10%3A00.500Z"
    go(desk, f"#/sessions?since={since}")
    desk.get_by_label("Domain or id").fill("one")
    desk.get_by_role("button", name="Filter", exact=True).click()
    desk.wait_for_url(f"**/#/sessions?q=one&since={since}")


def test_many_reasons_for_failures_leave_room_for_the_rest(desk: Page, ops: RunningOps) -> None:
    failures = [
        event("onboarding.failed", f"s{number}", data={"step": "dns", "code": f"code_{number}"})
        for number in range(60)
    ]
    assert ops.send_batch(failures).status_code == 200
    expect(desk.locator("#failures .reasons li")).to_have_count(60)
    box = desk.locator("#failures").bounding_box()
    assert box is not None
    assert box["height"] < 800


def test_the_newest_of_a_long_timeline_are_loaded_where_they_belong(desk: Page, ops: RunningOps) -> None:
    types = ["onboarding.started", *["portal.one", "portal.two"] * 101, "domain.validated"]
    assert ops.send_batch([event(each, "long") for each in types]).status_code == 200
    go(desk, "#/sessions/long")
    desk.get_by_role("button", name="Show newest first").click()
    more = desk.get_by_role("button", name="Load 4 more")
    names = desk.locator("ol.timeline .event-name")
    expect(names).to_have_count(200)
    above, below = more.bounding_box(), names.first.bounding_box()
    assert above is not None
    assert below is not None
    assert above["y"] < below["y"]
    more.click()
    expect(names.first).to_have_text("Domain validated")
