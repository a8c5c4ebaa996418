"""The desk's views, and the states that a browser test can bring them into."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from playwright.sync_api import Page, Route, expect

from tests.running_ops import RunningOps

QUESTIONS: Final = ("**/api/v1/**", "**/readyz")
ASKS_NOTHING: Final = ("#/nothing/here", "#/account")
SAID_BY_THE_SERVICE: Final = "The database is busy; ask again."


class View(NamedTuple):
    """A view and an address that opens it."""

    name: str
    address: str


def views(ops: RunningOps) -> list[View]:
    """Every view of the desk; the details show what exists, and something that failed."""
    tickets = ops.get("/api/v1/desk/tickets", stage="failed", limit=1)["tickets"]
    ticket = tickets[0] if tickets else {"id": 1, "session_id": "nobody"}
    return [
        View("dashboard", "#/"),
        View("tickets", "#/tickets?limit=8"),
        View("ticket", f"#/tickets/{ticket['id']}"),
        View("sessions", "#/sessions?limit=8"),
        View("session", f"#/sessions/{ticket['session_id']}"),
        View("events", "#/events?limit=8"),
        View("event", "#/events/1"),
        View("health", "#/health"),
        View("account", "#/account"),
        View("people", "#/people"),
        View("no such page", "#/nothing/here"),
    ]


def go(desk: Page, address: str) -> None:
    """Open an address of the desk and wait until its widgets have loaded."""
    follow(desk, address)
    expect(desk.locator("main [aria-busy=true]")).to_have_count(0)


def follow(desk: Page, address: str) -> None:
    """Open an address of the desk, whatever becomes of its widgets."""
    desk.evaluate(
        """address => {
            window.left = document.querySelector('main');
            if (location.hash === address) dispatchEvent(new HashChangeEvent('hashchange'));
            else location.hash = address;
        }""",
        address,
    )
    desk.wait_for_function(
        "address => location.hash === address && document.querySelector('main') !== window.left", arg=address
    )


def show(desk: Page, state: str, address: str) -> None:
    """Open an address so that it shows the state, which `answering` has brought about."""
    follow(desk, address)
    if address in ASKS_NOTHING:
        return
    if state == "loading":
        desk.locator("main .skeleton").first.wait_for()
    elif state == "error":
        desk.locator("main .trouble").first.wait_for()
        expect(desk.locator("main [aria-busy=true]")).to_have_count(0)
    else:
        expect(desk.locator("main [aria-busy=true]")).to_have_count(0)


@contextmanager
def answering(desk: Page, state: str) -> Iterator[None]:
    """Within the block the service's answers make the desk show `state`: loading, error, or as it is."""
    if state not in _ANSWERS:
        yield
        return
    for pattern in QUESTIONS:
        desk.route(pattern, _ANSWERS[state])
    yield
    # Leaving the view gives up the questions that nobody answers.
    follow(desk, "#/nothing/left")
    for pattern in QUESTIONS:
        desk.unroute(pattern)


@contextmanager
def holding(desk: Page, pattern: str, method: str = "GET") -> Iterator[None]:
    """The first such request is kept back until the block has ended; the block has to cause one."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        if route.request.method == method and not held:
            held.append(route)
        else:
            route.continue_()

    desk.route(pattern, keep)
    yield
    # The page may send it after the block's last step, and the browser tells of it later still.
    deadline = time.monotonic() + 30
    while not held:
        assert time.monotonic() < deadline, f"no {method} {pattern} was sent"
        desk.wait_for_timeout(10)
    held[0].continue_()
    desk.unroute(pattern, keep)


def texts(desk: Page, language: str) -> dict[str, str]:
    """The desk's own catalog in a language."""
    catalog: dict[str, str] = desk.evaluate(
        "async name => (await import(`/static/i18n/${name}.js`)).default", language
    )
    return catalog


def use_language(desk: Page, language: str) -> None:
    """Choose the language as an operator does."""
    desk.locator("select[name=language]").select_option(language)
    expect(desk.locator("html")).to_have_attribute("lang", {"en": "en-GB", "pt": "pt-PT"}[language])


def without(complaints: list[str], expected: str) -> None:
    """Forget the browser's own words on refusals that a test provokes, and nothing else."""
    complaints[:] = [one for one in complaints if not ("Failed to load resource" in one and expected in one)]


def _unanswered(_route: Route) -> None:
    """A question whose answer never comes."""


def _refused(route: Route) -> None:
    problem: dict[str, Any] = {"type": "about:blank", "title": "Service Unavailable", "status": 503}
    problem["detail"] = SAID_BY_THE_SERVICE
    route.fulfill(
        status=503, json=problem, headers={"content-type": "application/problem+json", "x-request-id": "4f1c"}
    )


_ANSWERS: Final = {"loading": _unanswered, "error": _refused}
