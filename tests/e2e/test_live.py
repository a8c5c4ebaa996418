"""The live view in a real browser: one stream per browser, nothing lost or shown twice, nobody disturbed."""

import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from ops_service.live.feed import Feed
from projections.rebuild import rebuild
from tests.e2e.conftest import OPERATOR
from tests.live_listener import wait_until
from tests.people import PASSWORD, add_user
from tests.rebuilds import no_progress
from tests.running_ops import RunningOps, event
from tests.servers.unreliable_proxy import Line, severable_line

QUICK = {"firstPoll": 200, "poll": 500, "backoff": 50, "longestBackoff": 400, "retry": 300}


@pytest.fixture
def line(ops: RunningOps) -> Iterator[Line]:
    """What the browser reaches the service through."""
    with severable_line(ops.url) as line:
        yield line


def hurry(context: BrowserContext, **changes: int) -> None:
    """Serve the page with shorter times."""

    def fulfil(route: Route) -> None:
        source = route.fetch().text()
        for name, value in {**QUICK, **changes}.items():
            source, found = re.subn(rf"\b{name}: [\d_]+", f"{name}: {value}", source)
            assert found == 1, name
        route.fulfill(body=source, content_type="text/javascript")

    context.route("**/static/app.js", fulfil)


def open_at(page: Page, ops: RunningOps, address: str, url: str | None = None) -> None:
    page.goto(f"{url or ops.url}/#token={ops.tokens['write']}")
    page.get_by_role("heading", name="Dashboard").wait_for()
    page.evaluate("address => { location.hash = address }", address)
    expect_state(page, "live")
    expect(page.locator("main [aria-busy=true]")).to_have_count(0)


def expect_state(page: Page, words: str) -> None:
    expect(page.locator(".live-state")).to_have_text(words, timeout=10_000)


def send(ops: RunningOps, session_id: str, event_type: str = "onboarding.started") -> None:
    assert ops.send(event(event_type, session_id, domain="acme.pt")).status_code == 201


def shown(page: Page) -> list[str]:
    """The keys of the rows, from the top."""
    keys: list[str] = page.locator("table.list tbody tr").evaluate_all("rows => rows.map(r => r.dataset.key)")
    return keys


def counting(page: Page, part: str) -> Callable[[], int]:
    """How many requests to addresses with `part` the page has made from now on."""
    made: list[str] = []

    def note(request: Request) -> None:
        if part in request.url:
            made.append(request.url)

    page.on("request", note)
    return lambda: len(made)


def settle(page: Page) -> None:
    """Wait until the page has loaded all it wants: half a second without a request."""
    asked = counting(page, "/api/v1/")
    seen = -1
    while seen != asked():
        seen = asked()
        page.wait_for_timeout(500)


def feed_of(ops: RunningOps) -> Feed:
    feed: Feed = ops.app.state.feed
    return feed


def forget_the_cut(complaints: list[str]) -> None:
    """A cut line makes the browser complain; nothing else may have."""
    assert [each for each in complaints if "net::ERR" not in each] == []
    complaints.clear()


def test_an_event_shows_without_asking_in_between(desk: Page, ops: RunningOps) -> None:
    expect_state(desk, "live")
    desk.wait_for_timeout(1000)
    asked = counting(desk, "/api/v1/onboard/funnel")
    desk.wait_for_timeout(2000)
    assert asked() == 0
    send(ops, "s1")
    expect(desk.locator("tr[data-stage=started] .count")).to_have_text("1", timeout=1000)
    assert asked() == 1


def test_a_burst_is_shown_in_few_refreshes(desk: Page, ops: RunningOps) -> None:
    expect_state(desk, "live")
    desk.wait_for_timeout(1000)
    asked = counting(desk, "/api/v1/onboard/funnel")
    began = time.monotonic()
    for number in range(60):
        send(ops, f"s{number}")
        time.sleep(0.05)
    expect(desk.locator("tr[data-stage=started] .count")).to_have_text("60", timeout=2000)
    assert asked() <= 2 * (time.monotonic() - began) + 2


def test_only_what_a_message_concerns_is_loaded(desk: Page, ops: RunningOps) -> None:
    send(ops, "one")
    open_at(desk, ops, "#/sessions/one")
    desk.wait_for_timeout(1000)
    asked = counting(desk, "/api/v1/onboard/sessions/one")
    send(ops, "two")
    desk.wait_for_timeout(1500)
    assert asked() == 0
    send(ops, "one", "domain.validated")
    expect(desk.locator("ol.timeline > li.event")).to_have_count(2, timeout=2000)


def test_a_cut_loses_nothing_and_shows_nothing_twice(
    ops: RunningOps, line: Line, page: Page, page_complaints: list[str]
) -> None:
    hurry(page.context)
    page.add_init_script(RECORD_MESSAGES)
    open_at(page, ops, "#/events", line.url)
    send(ops, "before")
    expect(page.locator("table.list tbody tr")).to_have_count(1)
    line.cut()
    expect_state(page, "reconnecting")
    for number in range(5):
        send(ops, f"during-{number}")
    page.wait_for_timeout(1000)
    assert shown(page) == ["1"]
    line.mend()
    expect_state(page, "live")
    expect(page.locator("table.list tbody tr")).to_have_count(6)
    send(ops, "after")
    expect(page.locator("table.list tbody tr")).to_have_count(7)
    assert shown(page) == [str(position) for position in range(7, 0, -1)]
    assert page.evaluate("window.heard") == [1, 2, 3, 4, 5, 6, 7]
    forget_the_cut(page_complaints)


# The tab with the connection tells the others every message once: what a channel of the same name hears.
RECORD_MESSAGES = """
window.heard = [];
new BroadcastChannel("ops.live").onmessage = ({ data }) => {
  if (data.message?.kind === "event") window.heard.push(data.message.id);
};
"""


def test_a_cut_is_said_aloud(ops: RunningOps, line: Line, page: Page, page_complaints: list[str]) -> None:
    hurry(page.context)
    open_at(page, ops, "#/events", line.url)
    line.cut()
    expect(page.get_by_role("status").first).to_have_text("The live connection is lost. Trying again.")
    line.mend()
    expect_state(page, "live")
    forget_the_cut(page_complaints)


def test_without_a_stream_the_page_asks_and_says_so(
    ops: RunningOps, page: Page, page_complaints: list[str]
) -> None:
    hurry(page.context)
    page.context.route("**/api/v1/stream*", lambda route: route.abort())
    page.goto(f"{ops.url}/#token={ops.tokens['write']}")
    expect_state(page, "asking every 15 seconds")
    expect(page.locator(".live-time")).to_have_text(re.compile(r"^updated \d\d:\d\d:\d\d$"))
    send(ops, "s1")
    expect(page.locator("tr[data-stage=started] .count")).to_have_text("1", timeout=3000)
    page.context.unroute("**/api/v1/stream*")
    expect_state(page, "live")
    forget_the_cut(page_complaints)


def test_tabs_share_one_connection_and_inherit_it(ops: RunningOps, page: Page, other_tab: Page) -> None:
    hurry(page.context)
    open_at(page, ops, "#/events")
    other_tab.add_init_script(RECORD_MESSAGES)
    open_at(other_tab, ops, "#/events")
    assert feed_of(ops).streams == 1
    send(ops, "one")
    for tab in (page, other_tab):
        expect(tab.locator("table.list tbody tr")).to_have_count(1)

    def send_before_it_connects(route: Route) -> None:
        send(ops, "two")
        route.continue_()

    page.context.route("**/api/v1/stream*", send_before_it_connects, times=1)
    page.close()
    expect(other_tab.locator("table.list tbody tr")).to_have_count(2, timeout=3000)
    wait_until(lambda: feed_of(ops).streams == 1)
    send(ops, "three")
    expect(other_tab.locator("table.list tbody tr")).to_have_count(3, timeout=3000)
    expect_state(other_tab, "live")
    assert other_tab.evaluate("window.heard") == [1, 2, 3]
    other_tab.close()
    wait_until(lambda: feed_of(ops).streams == 0)


def test_signing_out_hands_the_connection_on(ops: RunningOps, page: Page, other_tab: Page) -> None:
    open_at(page, ops, "#/events")
    open_at(other_tab, ops, "#/events")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    send(ops, "one")
    expect(other_tab.locator("table.list tbody tr")).to_have_count(1, timeout=3000)
    assert feed_of(ops).streams == 1
    other_tab.close()


def test_without_locks_a_tab_connects_for_itself(ops: RunningOps, page: Page) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined })")
    open_at(page, ops, "#/events")
    send(ops, "one")
    expect(page.locator("table.list tbody tr")).to_have_count(1)


def test_a_paused_page_says_since_when_it_stands(desk: Page, ops: RunningOps) -> None:
    expect_state(desk, "live")
    settle(desk)
    desk.get_by_role("button", name="Pause").click()
    expect_state(desk, "paused")
    expect(desk.locator(".live-time")).to_have_text(re.compile(r"^updated \d\d:\d\d:\d\d$"))
    asked = counting(desk, "/api/v1/onboard/funnel")
    send(ops, "s1")
    desk.wait_for_timeout(1500)
    assert asked() == 0
    desk.get_by_role("button", name="Resume").click()
    expect(desk.locator("tr[data-stage=started] .count")).to_have_text("1")


@pytest.mark.parametrize("use", ["focus", "hover", "selection"])
def test_new_rows_wait_while_someone_is_in_the_list(desk: Page, ops: RunningOps, use: str) -> None:
    for name in ("one", "two", "three"):
        send(ops, name)
    open_at(desk, ops, "#/sessions")
    rows = desk.locator("table.list tbody tr")
    expect(rows).to_have_count(3)
    before = shown(desk)
    enter(desk, use)
    for name in ("four", "five", "six"):
        send(ops, name)
    send(ops, "one", "domain.validated")  # which brings it to the top of the list
    button = desk.get_by_role("button", name="3 new")
    expect(button).to_be_visible()
    expect(desk.locator("tr[data-key=one]")).to_contain_text("Domain validated")
    assert shown(desk) == before
    if use == "focus":
        assert desk.evaluate("document.activeElement === window.entered && window.entered.isConnected")
    button.click()
    expect(rows).to_have_count(6)
    assert shown(desk)[0] == "one"
    assert desk.evaluate("document.activeElement !== document.body")


def enter(desk: Page, use: str) -> None:
    link = desk.locator("tr[data-key=two] a").first
    if use == "focus":
        link.focus()
        desk.evaluate("window.entered = document.activeElement")
    elif use == "hover":
        link.hover()
    else:
        link.evaluate("link => getSelection().selectAllChildren(link)")


def test_the_rows_that_waited_come_when_the_list_is_left(desk: Page, ops: RunningOps) -> None:
    send(ops, "one")
    open_at(desk, ops, "#/sessions")
    desk.locator("tr[data-key=one] a").first.focus()
    send(ops, "two")
    expect(desk.get_by_role("button", name="1 new")).to_be_visible()
    desk.get_by_role("link", name="Tickets").first.focus()
    expect(desk.locator("table.list tbody tr")).to_have_count(2)
    expect(desk.get_by_role("button", name="1 new")).to_have_count(0)


def test_a_rebuild_is_one_line(desk: Page, ops: RunningOps) -> None:
    for number in range(20):
        send(ops, f"s{number}")
    expect(desk.locator("tr[data-stage=started] .count")).to_have_text("20")
    rebuild.rebuild(ops.database, no_progress)
    expect(desk.locator(".live-rebuilt")).to_have_text(re.compile(r"^rebuilt \d\d:\d\d:\d\d$"))


def test_what_nobody_asked_for_says_so(ops: RunningOps, page: Page) -> None:
    presence = 4_000
    hurry(page.context, presence=presence)
    asked: list[bool] = []
    page.on("request", lambda request: note_automatic(request, asked))
    open_at(page, ops, "#/sessions")
    asked.clear()
    page.get_by_role("link", name="Tickets").first.click()
    page.get_by_role("heading", name="Tickets").wait_for()
    expect(page.locator("main [aria-busy=true]")).to_have_count(0)
    assert asked
    assert not any(asked)
    page.evaluate("location.hash = '#/sessions'")
    page.wait_for_timeout(presence + 500)
    asked.clear()
    send(ops, "one")
    expect(page.locator("tr[data-key=one]")).to_be_visible()
    assert asked
    assert all(asked)


def note_automatic(request: Request, asked: list[bool]) -> None:
    if "/api/v1/" in request.url:
        asked.append("x-automatic" in request.headers)


@pytest.mark.parametrize("address", ["#/", "#/account"])
def test_a_session_that_ends_shows_at_once_on_an_open_desk(
    ops: RunningOps, page: Page, page_complaints: list[str], address: str
) -> None:
    user_id = add_user(ops, OPERATOR, "agent")
    desk = sign_in_at(page, ops, address)
    assert ops.http.delete(f"/api/v1/users/{user_id}/sessions").is_success
    expect(desk.get_by_role("heading", name="Sign in")).to_be_visible(timeout=5_000)
    expect(desk.get_by_role("alert")).to_have_text("Your session has ended. Please sign in again.")
    page_complaints[:] = [one for one in page_complaints if "401" not in one]


def sign_in_at(page: Page, ops: RunningOps, address: str) -> Page:
    page.goto(f"{ops.url}/{address}")
    page.locator("input[name=name]").fill(OPERATOR)
    page.locator("input[type=password]").fill(PASSWORD)
    page.locator("input[type=password]").press("Enter")
    expect_state(page, "live")
    return page


def test_an_outage_is_not_asked_more_and_more_often(
    ops: RunningOps, line: Line, page: Page, page_complaints: list[str]
) -> None:
    hurry(page.context, refreshGap=10, poll=500, retry=1000)
    open_at(page, ops, "#/events", line.url)
    line.cut()
    page.wait_for_timeout(4000)
    asked = counting(page, "/api/v1/events")
    page.wait_for_timeout(2000)
    assert 2 <= asked() <= 8
    forget_the_cut(page_complaints)


def test_a_view_does_not_wait_for_what_the_one_before_asked(
    desk: Page, ops: RunningOps, page_complaints: list[str]
) -> None:
    send(ops, "one")
    open_at(desk, ops, "#/sessions")
    desk.route("**/api/v1/onboard/sessions", lambda route: route.abort())
    send(ops, "two")
    retry = desk.get_by_role("button", name="Try again")
    retry.wait_for()
    desk.unroute("**/api/v1/onboard/sessions")
    desk.route("**/api/v1/onboard/sessions", lambda _route: None)
    retry.click()
    desk.wait_for_timeout(6000)  # until the page asks again by itself, and waits for the same answer
    desk.get_by_role("link", name="Events").first.click()
    expect(desk.locator("table.list tbody tr")).to_have_count(2, timeout=4000)
    forget_the_cut(page_complaints)


def test_an_answer_that_was_cut_is_none(desk: Page, ops: RunningOps) -> None:
    open_at(desk, ops, "#/sessions")
    settle(desk)
    desk.route("**/api/v1/onboard/sessions", lambda route: route.fulfill(body='{"total": 3, "sess'))
    send(ops, "one")
    expect(desk.locator("main .trouble")).to_contain_text("The service does not answer.")
    expect_state(desk, "reconnecting")


def test_a_clock_that_is_set_back_stops_nothing(desk: Page, ops: RunningOps) -> None:
    open_at(desk, ops, "#/sessions")
    desk.evaluate("const { now } = Date; Date.now = () => now() - 3_600_000;")
    for number in range(2):
        send(ops, f"s{number}")
        expect(desk.locator("table.list tbody tr")).to_have_count(number + 1, timeout=5000)


def test_a_pointer_that_was_left_on_a_list_does_not_hold_it_for_ever(ops: RunningOps, page: Page) -> None:
    presence = 3000
    hurry(page.context, presence=presence)
    send(ops, "one")
    open_at(page, ops, "#/sessions")
    page.locator("tr[data-key=one] a").first.hover()
    send(ops, "two")
    expect(page.get_by_role("button", name="1 new")).to_be_visible()
    page.wait_for_timeout(presence)
    send(ops, "three")
    expect(page.locator("table.list tbody tr")).to_have_count(3)
