"""How fast the desk draws in a real browser: a timeline of a thousand events, the dashboard of three days.

A drawing takes from the last byte of the answer to the frame after the last event stood in the page.
"""

import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer
from playwright.sync_api import Browser, Page

from bench.measure import Bar, Figure, Report, alternate, ratio
from portal_hooks.instants import MINUTE, SECOND, format_instant, now_instant
from scripts.screenshots import filled_service
from tests.e2e.conftest import enter
from tests.running_ops import RunningOps, event
from tests.servers import chromium

EVENTS: Final = 1_000
FEW: Final = 10
DRAWN_MS: Final = 200

# Told of the number of events to wait for by the address.
WATCH: Final = """
addEventListener('DOMContentLoaded', () => {
    const wanted = Number(new URLSearchParams(location.search).get('events'));
    const isThere = () => wanted === 0 ? document.querySelector('#funnel .tiles')
        : document.querySelectorAll('ol.timeline > li.event').length >= wanted;
    const watcher = new MutationObserver(() => {
        if (!isThere()) return;
        watcher.disconnect();
        requestAnimationFrame(() => setTimeout(() => performance.mark('drawn')));
    });
    watcher.observe(document, { childList: true, subtree: true });
});
"""
# The desk asks page by page; here one answer brings all events, to be drawn at once. Not by the driver's
# interception of requests, which alone takes a tenth of a second.
ASK_FOR_ALL: Final = f"""
const genuine = window.fetch;
window.fetch = (address, options) => genuine(address.replace('limit=200', 'limit={EVENTS}'), options);
"""
SINCE_ANSWER: Final = """() => {
    const answers = performance.getEntriesByType('resource').filter(each => each.name.includes('/timeline?'));
    return performance.getEntriesByName('drawn')[0].startTime - answers[0].responseEnd;
}"""
DRAWN: Final = (
    "() => ['drawn', 'first-contentful-paint'].every(name => performance.getEntriesByName(name).length === 1)"
)
SINCE_BEGINNING: Final = "performance.getEntriesByName('drawn')[0].startTime"
FIRST_PAINT: Final = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 9,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure, and print a report."""
    with tempfile.TemporaryDirectory() as scratch, filled_service(Path(scratch)) as ops:
        for count in (FEW, EVENTS):
            send_history(ops, count)
        with chromium.launched(chromium.provide()) as browser:
            report(ops, browser, rounds).show(as_json)


def report(ops: RunningOps, browser: Browser, rounds: int) -> Report:
    """What the browser took, round by round."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.add_init_script(WATCH)
    page.add_init_script(ASK_FOR_ALL)
    enter(page, ops)
    cache = page.context.new_cdp_session(page)
    drawings = alternate(
        {str(count): lambda count=count: timeline_ms(page, ops, count) for count in (FEW, EVENTS)},  # type: ignore[misc]
        rounds,
    )
    cache.send("Network.enable")
    loads = []
    for _ in range(rounds):
        cache.send("Network.clearBrowserCache")
        loads.append(dashboard_ms(page, ops))
    first, drawn = zip(*loads, strict=True)
    thousand = Figure(f"timeline of {EVENTS} events drawn", "ms", drawings[str(EVENTS)])
    few = Figure(f"timeline of {FEW} events drawn", "ms", drawings[str(FEW)])
    figures = [thousand, few, Figure("first paint, nothing cached", "ms", first)]
    figures.append(Figure("dashboard drawn, nothing cached", "ms", drawn))
    notes = [f"{EVENTS} events to {FEW}: {ratio(thousand.samples, few.samples):.1f} times as long"]
    bars = [Bar(thousand.name, thousand.median, "<=", DRAWN_MS, "ms")]
    return Report("The desk in a browser", figures, bars, notes)


def send_history(ops: RunningOps, count: int) -> None:
    """A session of that many events, no two neighbours alike, so that none fold."""
    began = now_instant() - count * MINUTE
    events = [
        event(
            ("domain.validated", "dns.applied")[number % 2],
            f"of-{count}",
            occurred_at=format_instant(began + number * 37 * SECOND),
            data={"attempt": number, "applied": ["MX", "SPF", "DKIM"], "provider": "cloudflare"},
        )
        for number in range(count)
    ]
    for start in range(0, count, 500):
        ops.send_batch(events[start : start + 500]).raise_for_status()


def load(page: Page, address: str) -> None:
    """Open the address anew, even where the page is there already, and wait until it is drawn."""
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_function(DRAWN)


def timeline_ms(page: Page, ops: RunningOps, count: int) -> float:
    """From the answer to the painted timeline, in a page loaded anew."""
    load(page, f"{ops.url}/?events={count}#/sessions/of-{count}")
    return float(page.evaluate(SINCE_ANSWER))


def dashboard_ms(page: Page, ops: RunningOps) -> tuple[float, float]:
    """From the beginning of the navigation to the first paint, and to the painted funnel."""
    load(page, f"{ops.url}/?events=0#/")
    return float(page.evaluate(FIRST_PAINT)), float(page.evaluate(SINCE_BEGINNING))


if __name__ == "__main__":
    typer.run(main)
