"""Photograph the desk for the documentation: `python -m scripts.screenshots [--views dashboard,ticket …]`.

Starts a service of its own on a scratch database, fills it with three days of made-up traffic and keeps
docs/screenshots/<view>-<width>-<theme>.png. Needs the development environment (`make setup-dev`).
"""

import argparse
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import text

from ops_service.cli import prepare
from tests.conftest import BROWSER_ARGUMENTS
from tests.running_ops import RunningOps, running_ops, settings_for
from tests.servers import chromium

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
SESSIONS: Final = 240
BATCH: Final = 400
HEIGHT: Final = 900
TYPES: Final = (
    "onboarding.started",
    "domain.validated",
    "dns.applied",
    "account.created",
    "infra.synced",
    "onboarding.completed",
)
# How many sessions get how far, out of a hundred; most finish.
DEPTHS: Final = (6, 7, 6, 5, 3, 73)
DOMAINS: Final = (
    "padaria-central",
    "quintadovale",
    "clinica-sao-joao",
    "oficina24",
    "vinhosdouro",
    "escola-azul",
)
FAILURES: Final = (
    {"step": "domain", "code": "domain_unregistered", "reason": "The domain is not registered."},
    {"step": "dns", "code": "dns_timeout", "reason": "Cloudflare did not answer within 30 s."},
    {"step": "dns", "code": "zone_missing", "reason": "The zone is not in this account."},
    {"step": "account", "code": "carbonio_error", "reason": "Carbonio answered 503: service unavailable."},
    {"step": "infra", "code": "quota_exceeded", "reason": "No store volume has room for another mailbox."},
)
# All of it came within a second, which the desk would rightly show as late.
AS_IF_IT_HAD_HAPPENED: Final = (
    "UPDATE webhook_events SET received_at = occurred_at + 180000",
    "UPDATE tickets SET created_at = (SELECT last_event_at FROM onboard_sessions AS s"
    " WHERE s.session_id = tickets.session_id)",
    "UPDATE tickets SET updated_at = created_at",
    "UPDATE ticket_events SET created_at = (SELECT created_at FROM tickets WHERE id = ticket_id)",
)


class Traffic:
    """Made-up wizard runs; the same each time but for the clock."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.chance = random.Random(7)
        self.events: list[dict[str, Any]] = []
        for number in range(SESSIONS):
            self._wizard_run(number)

    def _wizard_run(self, number: int) -> None:
        session_id = f"run-{number:04d}-{self.chance.getrandbits(32):08x}"
        domain = f"{self.chance.choice(DOMAINS)}{number}.pt"
        depth = self.chance.choices(range(6), DEPTHS)[0]
        when = self.now - timedelta(minutes=self.chance.uniform(0, 60) ** 2)
        for step in range(depth + 1):
            self._emit(session_id, TYPES[step], when, domain, _data(step, domain))
            when += timedelta(seconds=self.chance.lognormvariate(3.4, 1.3))
            if step == 1 and self.chance.random() < 0.15:
                when = self._tries_again(session_id, when, domain)
        if depth < 5 and self.chance.random() < 0.4:
            failure = FAILURES[min(depth, 4)]
            self._emit(session_id, "onboarding.failed", when, domain, dict(failure))

    def _tries_again(self, session_id: str, when: datetime, domain: str) -> datetime:
        for _ in range(3):
            self._emit(session_id, TYPES[1], when, domain, _data(1, domain))
            when += timedelta(seconds=self.chance.uniform(4, 20))
        return when

    def _emit(
        self, session_id: str, event_type: str, when: datetime, domain: str, data: dict[str, Any]
    ) -> None:
        if when > self.now:
            return
        event = {
            "event_id": f"{session_id}-{len(self.events)}",
            "event_type": event_type,
            "session_id": session_id,
            "occurred_at": when.isoformat(),
            "data": data,
        }
        self.events.append(event if event_type == TYPES[0] else {**event, "domain": domain})


def _data(step: int, domain: str) -> dict[str, Any]:
    return (
        {},
        {"mx": [f"mx1.{domain}", f"mx2.{domain}"]},
        {"applied": ["MX", "SPF", "DKIM"], "provider": "cloudflare"},
        {"account": "geral", "email": f"geral@{domain}"},
        {"success": True},
        {"infra_status": "synced"},
    )[step]


def fill(ops: RunningOps) -> None:
    """Send the made-up traffic and let it look as if it had come at its time."""
    events = sorted(Traffic(datetime.now(UTC)).events, key=lambda event: str(event["occurred_at"]))
    for start in range(0, len(events), BATCH):
        answer = ops.send_batch(events[start : start + BATCH])
        answer.raise_for_status()
    with ops.database.write() as connection:
        for statement in AS_IF_IT_HAD_HAPPENED:
            connection.execute(text(statement))


def views(ops: RunningOps) -> dict[str, str]:
    """A name and an address for each view; details show a ticket and a session where something happened."""
    failed = ops.get("/api/v1/desk/tickets", stage="failed", limit=1)["tickets"][0]
    done = ops.get("/api/v1/onboard/sessions", state="completed", limit=1)["sessions"][0]
    return {
        "dashboard": "#/",
        "tickets": "#/tickets?limit=15",
        "ticket": f"#/tickets/{failed['id']}",
        "sessions": "#/sessions?state=stalled&limit=15",
        "session": f"#/sessions/{done['session_id']}",
        "events": f"#/events?session_id={done['session_id']}",
        "health": "#/health",
    }


def photograph(browser: Browser, ops: RunningOps, name: str, address: str, width: int, theme: Any) -> None:
    """Keep one picture of the whole page."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT}, color_scheme=theme, locale="en-GB"
    )
    page = context.new_page()
    page.goto(f"{ops.url}/#token={ops.tokens['write']}")
    page.locator("#funnel .funnel").wait_for()
    page.goto(f"{ops.url}/{address}")
    page.locator("main [aria-busy=false]").first.wait_for()
    page.wait_for_function("document.querySelector('main [aria-busy=true]') === null")
    page.screenshot(path=FOLDER / f"{name}-{width}-{theme}.png", full_page=True)
    context.close()


@contextmanager
def launched_browser() -> Iterator[Browser]:
    """The browser the tests use."""
    provided = chromium.provide()
    os.environ.update(chromium.driver_environment())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=provided.executable,
            env={**os.environ, **provided.environment},
            args=BROWSER_ARGUMENTS,
        )
        yield browser
        browser.close()


def main() -> None:
    """Take the pictures the arguments ask for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--views", default="", help="names separated by commas; all without it")
    parser.add_argument("--widths", default="320,768,1280")
    parser.add_argument("--themes", default="light,dark")
    wanted = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        url = f"sqlite:///{scratch}/ops.db"
        prepare(settings_for(url))
        with running_ops(url) as ops, launched_browser() as browser:
            fill(ops)
            for name, address in views(ops).items():
                if wanted.views and name not in wanted.views.split(","):
                    continue
                for width in map(int, wanted.widths.split(",")):
                    for theme in wanted.themes.split(","):
                        photograph(browser, ops, name, address, width, theme)


if __name__ == "__main__":
    main()
