"""The desk in a real browser, on a real service."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from ops_service.app import FRONTEND
from tests.e2e.conftest import enter
from tests.e2e.desk_views import go, holding, use_language, views
from tests.running_ops import RunningOps, event

WIZARD = (
    "onboarding.started",
    "domain.validated",
    "dns.applied",
    "account.created",
    "infra.synced",
    "onboarding.completed",
)
FAILURE = {"step": "dns", "code": "dns_timeout", "reason": "Cloudflare did not answer"}


def minutes_ago(minutes: float) -> str:
    """RFC 3339."""
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()


def wizard_run(
    ops: RunningOps,
    session_id: str,
    steps: int,
    *,
    age: float = 5,
    failed: bool = False,
    domain: str = "acme.pt",
) -> None:
    """Send a run of that many steps, ten seconds apart, the first one `age` minutes ago."""
    types = [*WIZARD[:steps], *(["onboarding.failed"] if failed else [])]
    events = [
        event(
            event_type,
            session_id,
            occurred_at=minutes_ago(age - step / 6),
            domain=domain,
            data=FAILURE if event_type == "onboarding.failed" else {},
        )
        for step, event_type in enumerate(types)
    ]
    assert ops.send_batch(events).status_code == 200


def first_number(text: str) -> int:
    """The number a text begins with, or shows."""
    found = re.search(r"\d+", text)
    assert found, text
    return int(found[0])


def test_an_empty_funnel_says_why_and_what_to_do(desk: Page, ops: RunningOps) -> None:
    funnel = desk.locator("#funnel")
    expect(funnel).to_contain_text("No session was active in this window")
    expect(funnel.locator("code")).to_have_text(f"scripts/verify-funnel-webhook.sh {ops.url}")


def test_every_number_of_the_funnel_opens_the_list_it_counts(desk: Page, ops: RunningOps) -> None:
    for steps in range(1, 7):
        wizard_run(ops, f"recent-{steps}", steps)
        wizard_run(ops, f"idle-{steps}", steps, age=200)
        wizard_run(ops, f"failed-{steps}", steps, failed=steps < 6)
    wizard_run(ops, "only-a-failure", 0, failed=True)
    expect(desk.locator(".tile-total .tile-count")).to_have_text("19")
    links = numbers_shown(desk.locator("#funnel"))
    assert len(links) >= 25
    for text, address in links:
        go(desk, address)
        expect(desk.locator("main .total")).to_have_text(re.compile(rf"^{first_number(text)} sessions?$"))


def test_the_numbers_of_three_days_open_the_lists_they_count(demo_desk: Page) -> None:
    links = [
        *numbers_shown(demo_desk.locator("#funnel")),
        *numbers_shown(demo_desk.locator("#failures")),
    ]
    assert len(links) >= 30
    for text, address in links:
        go(demo_desk, address)
        expect(demo_desk.locator("main .total")).to_have_text(
            re.compile(rf"^{first_number(text)} sessions?$"), timeout=2000
        )


def numbers_shown(widget: Locator) -> list[tuple[str, str]]:
    """Text and address of each link."""
    found = widget.locator("a").evaluate_all("links => links.map(a => [a.innerText, a.getAttribute('href')])")
    return [(text, address) for text, address in found]


def test_the_funnel_shows_where_sessions_stand(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "done", 6)
    wizard_run(ops, "working", 3)
    wizard_run(ops, "idle", 3, age=200)
    wizard_run(ops, "broken", 3, failed=True)
    row = desk.locator("tr[data-stage=dns_applied]")
    expect(row.locator(".breakdown li")).to_have_text(["1 went on", "1 active", "1 stalled", "1 failed"])
    expect(row.locator(".count")).to_have_text("4")
    expect(row.locator("td.col-of-start")).to_have_text("100%")
    expect(desk.locator("tr[data-stage=completed] td.col-of-start")).to_have_text("25%")
    expect(desk.locator("tr[data-stage=started] td.col-of-previous")).to_have_text("—")
    expect(row.locator("td.col-median")).to_have_text("10s")
    expect(desk.locator("#failures")).to_contain_text("dns_timeout")
    expect(desk.locator("#active tbody tr")).to_have_count(2)


def test_an_event_shows_within_a_second_and_disturbs_nothing(desk: Page, ops: RunningOps) -> None:
    for number in range(12):
        wizard_run(ops, f"run-{number}", 2)
    link = desk.locator("#active a", has_text="acme.pt").last
    link.focus()
    desk.locator("summary", has_text="How is this counted").evaluate(
        "summary => summary.parentElement.open = true"
    )
    desk.evaluate("window.scrollTo(0, 300); window.focused = document.activeElement")
    scrolled = desk.evaluate("scrollY")
    wizard_run(ops, "newcomer", 1)
    expect(desk.locator("tr[data-stage=started] .count")).to_have_text("13", timeout=2000)
    assert desk.evaluate("document.activeElement === window.focused && window.focused.isConnected")
    assert desk.evaluate("scrollY") == scrolled > 0
    assert desk.locator("details.how").get_attribute("open") is not None


def test_a_paused_desk_stands_still_until_resumed(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "first", 1)
    count = desk.locator("tr[data-stage=started] .count")
    expect(count).to_have_text("1")
    wizard_run(ops, "second", 1)
    desk.wait_for_timeout(150)  # told of it, the page waits a little before it loads
    desk.get_by_role("button", name="Pause").click()
    asked = []
    desk.on("request", lambda request: asked.append(request.url))
    desk.wait_for_timeout(500)  # for what was on its way
    shown = count.inner_text()
    wizard_run(ops, "third", 1)
    desk.wait_for_timeout(1500)
    assert (asked, count.inner_text()) == ([], shown)
    desk.get_by_role("button", name="Resume").click()
    expect(count).to_have_text("3")


def test_a_ticket_tells_the_story_of_its_session(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "broken", 3, age=90, failed=True)
    assert ops.send(event("onboarding.started", "broken", domain="acme.pt")).status_code == 201
    go(desk, "#/tickets")
    desk.get_by_role("link", name="#1 acme.pt").click()
    expect(desk.get_by_role("heading", level=1)).to_have_text("#1 acme.pt")
    events = desk.locator("ol.timeline > li.event")
    expect(events.locator(".event-name")).to_have_text(
        ["Started", "Domain validated", "DNS applied", "Failed", "Started"]
    )
    expect(events.nth(1).locator(".gap")).to_have_text("+ 10s")
    expect(events.nth(4).locator(".gap-long")).to_have_text(re.compile("^nothing for 1h 29m"))
    expect(events.nth(3).locator(".badge").first).to_have_text("failed")
    moment = events.nth(0).locator("time")
    assert datetime.fromisoformat(moment.get_attribute("datetime") or "").tzinfo
    expect(desk.locator(".timeline > .day").first).to_be_visible()
    desk.get_by_role("button", name="Show newest first").click()
    expect(events.locator(".event-name").last).to_have_text("Started")
    expect(events.locator(".event-name").nth(1)).to_have_text("Failed")


def test_the_data_of_an_event_stays_open_while_others_come(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "broken", 2, failed=True)
    go(desk, "#/sessions/broken")
    events = desk.locator("ol.timeline > li.event")
    data = events.nth(2).locator("details.raw")
    data.locator("summary").focus()
    desk.keyboard.press("Enter")
    expect(data.locator(".payload")).to_contain_text(FAILURE["code"])
    assert ops.send(event("dns.applied", "broken")).status_code == 201
    expect(events).to_have_count(4)
    expect(data.locator(".payload")).to_be_visible()
    data.locator("summary").click()
    expect(data.locator(".payload")).to_be_hidden()


def test_the_failure_card_says_what_to_do_next(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "broken", 2, failed=True)
    go(desk, "#/sessions/broken")
    card = desk.locator(".failure")
    for text in (*FAILURE.values(), "Check the zone"):
        expect(card).to_contain_text(text)
    assert ops.send(event("dns.applied", "broken")).status_code == 201
    expect(card).to_have_count(0)


def test_repeats_fold_into_one_line(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "again", 2)
    for _ in range(3):
        assert ops.send(event("domain.validated", "again")).status_code == 201
    go(desk, "#/sessions/again")
    expect(desk.locator(".folded > details > summary")).to_have_text(
        re.compile("^3 . domain.validated, confirmed$")
    )
    expect(desk.locator(".timeline:not(.nested) > li.event")).to_have_count(2)


def test_an_operator_takes_a_ticket_and_writes_a_note(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "broken", 2, failed=True)
    go(desk, "#/tickets/1")
    desk.get_by_label("Status").select_option("in_progress")
    desk.get_by_label("Assignee").fill("Ana")
    desk.get_by_label("Tags, separated by commas").fill("vip, dns")
    desk.get_by_role("button", name="Save").click()
    expect(desk.locator(".ticket-form [role=status]")).to_have_text("Saved.")
    desk.get_by_label("New note").fill("Called the customer")
    desk.get_by_role("button", name="Add note").click()
    expect(desk.locator("#notes .note-note .note-body")).to_have_text("Called the customer")
    expect(desk.get_by_label("New note")).to_have_value("")
    ticket = ops.get("/api/v1/desk/tickets/1")
    assert (ticket["status"], ticket["assignee"], ticket["tags"]) == ("in_progress", "Ana", ["dns", "vip"])


def test_half_typed_text_survives_updates(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "broken", 2, failed=True)
    go(desk, "#/tickets/1")
    desk.get_by_label("Assignee").fill("Ana")
    desk.get_by_label("New note").fill("Half a")
    assert ops.send(event("domain.validated", "broken")).status_code == 201
    expect(desk.locator("ol.timeline > li.event")).to_have_count(4)
    expect(desk.get_by_label("Assignee")).to_have_value("Ana")
    expect(desk.get_by_label("New note")).to_have_value("Half a")
    expect(desk.get_by_label("New note")).to_be_focused()


def change_ticket(ops: RunningOps, **changes: Any) -> None:
    """Change ticket 1 as another operator."""
    version = ops.get("/api/v1/desk/tickets/1")["version"]
    answer = ops.http.patch("/api/v1/desk/tickets/1", json=changes, headers={"If-Match": f'"{version}"'})
    assert answer.status_code == 200, answer.text


def test_the_second_of_two_operators_is_told(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "broken", 2, failed=True)
    go(desk, "#/tickets/1")
    desk.get_by_label("Assignee").fill("Ana")
    change_ticket(ops, assignee="Rui", status="in_progress")
    expect(desk.get_by_text("someone else has set it to “Rui”")).to_be_visible()
    expect(desk.get_by_label("Status")).to_have_value("in_progress")
    desk.get_by_role("button", name="Save").click()
    expect(desk.locator(".ticket-form [role=status]")).to_have_text("Saved.")
    ticket = ops.get("/api/v1/desk/tickets/1")
    assert (ticket["status"], ticket["assignee"]) == ("in_progress", "Ana")


def test_a_change_nobody_could_see_yet_is_not_overwritten(
    desk: Page, ops: RunningOps, page_complaints: list[str]
) -> None:
    wizard_run(ops, "broken", 2, failed=True)
    go(desk, "#/tickets/1")
    desk.get_by_role("button", name="Pause").click()
    desk.get_by_label("Assignee").fill("Ana")
    change_ticket(ops, assignee="Rui")
    desk.get_by_role("button", name="Save").click()
    expect(desk.locator(".ticket-form [role=status]")).to_contain_text("Not saved")
    expect(desk.get_by_label("Assignee")).to_have_value("Ana")
    assert ops.get("/api/v1/desk/tickets/1")["assignee"] == "Rui"
    assert all("412" in complaint for complaint in page_complaints)
    page_complaints.clear()


def test_a_session_leads_to_its_events_and_an_event_to_its_whole_payload(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "one", 3)
    wizard_run(ops, "two", 2)
    go(desk, "#/sessions/one")
    desk.locator("#session dd a", has_text=re.compile("^3$")).click()
    expect(desk.get_by_label("Session id")).to_have_value("one")
    rows = desk.locator("table.list tbody tr")
    expect(rows).to_have_count(3)
    rows.first.get_by_role("link").first.click()
    expect(desk.get_by_role("heading", level=1)).to_have_text("Event #3")
    expect(desk.locator("pre.payload")).to_contain_text('"dns.applied"')


def test_filters_live_in_the_address(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "one", 6, domain="acme.pt")
    wizard_run(ops, "two", 2, domain="outra.pt")
    go(desk, "#/sessions")
    desk.get_by_label("Domain or id").fill("outra")
    desk.get_by_label("active", exact=True).check()
    desk.get_by_role("button", name="Filter").click()
    expect(desk.locator("main .total")).to_have_text("1 session")
    assert desk.url.endswith("#/sessions?q=outra&state=active")
    desk.reload()
    expect(desk.get_by_label("Domain or id")).to_have_value("outra")
    expect(desk.locator("main .total")).to_have_text("1 session")
    desk.get_by_role("link", name="Clear").click()
    expect(desk.locator("main .total")).to_have_text("2 sessions")


def test_a_long_list_comes_in_pages(desk: Page, ops: RunningOps) -> None:
    for number in range(7):
        wizard_run(ops, f"run-{number}", 1)
    go(desk, "#/sessions?limit=3")
    seen: list[str] = []
    for expected in (3, 3, 1):
        rows = desk.locator("table.list tbody tr")
        expect(rows).to_have_count(expected)
        seen += rows.evaluate_all("rows => rows.map(row => row.dataset.key)")
        if len(seen) < 7:
            desk.get_by_role("link", name="Next page").click()
            expect(desk.locator(f"tr[data-key={seen[-1]}]")).to_have_count(0)
    assert sorted(seen) == [f"run-{number}" for number in range(7)]


def test_what_is_not_there_is_said_in_its_place(
    desk: Page, ops: RunningOps, page_complaints: list[str]
) -> None:
    go(desk, "#/tickets/77")
    expect(desk.locator("#ticket .trouble")).to_contain_text("There is nothing here.")
    assert all("404" in complaint for complaint in page_complaints)
    page_complaints.clear()


def test_speaks_portuguese_and_remembers_it(desk: Page, ops: RunningOps) -> None:
    desk.get_by_label("Language").select_option("pt")
    expect(desk.get_by_role("heading", level=1)).to_have_text("Painel")
    desk.reload()
    expect(desk.get_by_role("link", name="Sessões")).to_be_visible()
    assert desk.locator("html").get_attribute("lang") == "pt-PT"


def test_what_the_service_noted_of_a_change_is_told_in_portuguese(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "broken", 2, failed=True)
    change_ticket(ops, status="in_progress", assignee="ana; status: open", tags=["vip", "dns"])
    use_language(desk, "pt")
    go(desk, "#/tickets/1")
    told = ["Situação: Em tratamento", "Responsável: ana; status: open", "Etiquetas: dns, vip"]
    expect(desk.locator("#notes .note-change .note-body")).to_have_text(told)


def test_a_change_of_language_reaches_the_timeline_and_keeps_the_focus(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "one", 2)
    go(desk, "#/sessions/one")
    desk.get_by_label("Language").focus()
    desk.get_by_label("Language").select_option("pt")
    names = desk.locator("ol.timeline .event-name")
    expect(names).to_have_text(["Iniciado", "Domínio validado"])
    expect(desk.get_by_label("Língua")).to_be_focused()
    desk.get_by_label("Horas").select_option("utc")
    expect(names).to_have_count(2)


def test_what_is_drawn_while_a_language_is_on_its_way_does_not_stay(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "one", 2)
    go(desk, "#/sessions/one")
    names = desk.locator("ol.timeline .event-name")
    with holding(desk, "**/i18n/pt.js"):
        desk.get_by_label("Language").select_option("pt")
        ops.send(event("dns.applied", "one"))
        expect(names).to_have_text(["Started", "Domain validated", "DNS applied"])
    expect(names).to_have_text(["Iniciado", "Domínio validado", "DNS aplicado"])


def test_the_theme_follows_the_operator(desk: Page) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    desk.get_by_label("Theme").select_option("light")
    light = desk.evaluate(colour)
    desk.get_by_label("Theme").select_option("dark")
    assert desk.evaluate(colour) != light
    desk.reload()
    assert desk.locator("html").get_attribute("data-theme") == "dark"


@pytest.mark.parametrize("width", [320, 768, 1280])
@pytest.mark.parametrize("language", ["en", "pt"])
def test_nothing_is_wider_than_the_screen(desk: Page, ops: RunningOps, width: int, language: str) -> None:
    wizard_run(
        ops, f"a-rather-long-session-{'x' * 90}", 4, domain=f"{'long-' * 11}name.example.pt", failed=True
    )
    desk.set_viewport_size({"width": width, "height": 800})
    use_language(desk, language)
    for address in ("#/", "#/tickets", "#/tickets/1", "#/sessions", "#/events", "#/events/1", "#/health"):
        go(desk, address)
        assert desk.evaluate("document.documentElement.scrollWidth") <= width, address
        assert desk.evaluate("document.querySelector('h1').getBoundingClientRect().height") > 10


def test_the_modules_run_as_they_are_written_too(demo: RunningOps, page: Page) -> None:
    """What the service joins into one script runs module by module, too: each imports all it uses."""

    def source(route: Route) -> None:
        route.fulfill(path=FRONTEND / "app.js", content_type="text/javascript")

    page.route("**/static/app.js", source)
    with page.expect_response("**/static/lib/morph.js"):
        desk = enter(page, demo)
    for view in views(demo):
        go(desk, view.address)
