"""Many portals sending at once, what they were told, and whether the log agrees."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPMessage
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from sqlalchemy import func, select

from portal_hooks.contract import EVENT_TYPES
from portal_hooks.signing import headers_for
from projections.database.database import Database
from projections.database.tables import onboard_sessions, webhook_events
from projections.rebuild.verify import verify
from tests.running_ops import INGRESS, KEY, event

BATCH = 8
SESSIONS = 40
DRAIN_SECONDS = 90.0
DETAILS = {
    "infra.synced": {"success": True},
    "onboarding.completed": {"infra_status": "ok"},
    "onboarding.failed": {"step": "account", "code": "carbonio_error", "reason": "timeout"},
}

Event = dict[str, Any]


@dataclass
class Ledger:
    """What was sent and what was answered, by event id. Written by many threads."""

    attempted: dict[str, Event] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    """Of the events that got a 2xx."""
    refused: Counter[int] = field(default_factory=Counter)
    """Answers that ask to come again, by status."""
    lies: list[str] = field(default_factory=list)
    """Answers that should never have been given."""
    unanswered: int = 0
    """Requests whose connection broke."""

    def acknowledge(self, sent: Event, status: str, position: int) -> None:
        """Note a 2xx for one event."""
        event_id = sent["event_id"]
        first = self.positions.setdefault(event_id, position)
        if first != position or status not in ("created", "duplicate"):
            self.lies.append(f"{event_id}: {status} at {position}, first at {first}")


class Portal(threading.Thread):
    """Sends events, some in batches and some again, until each has its 2xx."""

    def __init__(self, url: str, ledger: Ledger, seed: int, stop: threading.Event) -> None:
        super().__init__(name=f"portal-{seed}")
        self._address = urlsplit(url)
        self._ledger = ledger
        # Ids stay random from run to run; what is sent does not.
        self._random = random.Random(seed)
        self._batches = seed % 4 == 0
        self._stop_asked = stop
        self._give_up = False
        self._connection: HTTPConnection | None = None
        self._acknowledged: Event | None = None

    def run(self) -> None:
        """Until asked to stop and all that was begun is acknowledged."""
        try:
            while not self._stop_asked.is_set():
                self._deliver([self._new_event() for _ in range(BATCH if self._batches else 1)])
        finally:
            self._disconnect()

    def give_up(self) -> None:
        """Leave what is unacknowledged: the service will not come back."""
        self._give_up = True

    def _new_event(self) -> Event:
        if self._acknowledged and self._random.random() < 0.05:
            return self._acknowledged
        kind = self._random.choice([*EVENT_TYPES, "coffee.served"])
        at = datetime.now(UTC) - timedelta(seconds=self._random.randrange(3600))
        session_id = f"s{self._random.randrange(SESSIONS)}"
        made = event(kind, session_id, occurred_at=at.isoformat(), data=DETAILS.get(kind, {"n": 1}))
        self._ledger.attempted[made["event_id"]] = made
        return made

    def _deliver(self, events: list[Event]) -> None:
        while not self._give_up:
            try:
                status, headers, answer = self._send(events)
            except (OSError, HTTPException):
                self._ledger.unanswered += 1
                self._disconnect()
                time.sleep(0.02)
                continue
            if status in (200, 201):
                self._note(events, answer)
                return
            if status not in (429, 503) or int(headers.get("Retry-After", "0")) < 1:
                self._ledger.lies.append(f"{status}: {answer}")
                return
            self._ledger.refused[status] += 1
            time.sleep(0.05)

    def _send(self, events: list[Event]) -> tuple[int, HTTPMessage, Any]:
        if self._connection is None:
            assert self._address.hostname
            self._connection = HTTPConnection(self._address.hostname, self._address.port, timeout=60)
        content = events if self._batches else events[0]
        webhook_id = uuid4().hex if self._batches else events[0]["event_id"]
        body = json.dumps(content).encode()
        headers = {
            "Content-Type": "application/json",
            **headers_for(KEY, webhook_id, body, int(time.time())),
        }
        path = f"{INGRESS}/batch" if self._batches else INGRESS
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        if response.getheader("Connection") == "close":
            self._disconnect()
        return response.status, response.headers, answer

    def _note(self, events: list[Event], answer: dict[str, Any]) -> None:
        results = answer["results"] if self._batches else [answer]
        for sent, result in zip(events, results, strict=True):
            if result["event_id"] != sent["event_id"]:
                self._ledger.lies.append(f"the answer for {sent['event_id']} names {result['event_id']}")
            self._ledger.acknowledge(sent, result["status"], result["position"])
        self._acknowledged = events[-1]

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def portals(url: str, count: int = 16, *, gone_at_the_end: bool = False) -> Iterator[Ledger]:
    """Keep `count` portals sending until the block ends; then until every event has its 2xx.

    With `gone_at_the_end` they give up instead, for the service has left for good.
    """
    ledger, stop = Ledger(), threading.Event()
    senders = [Portal(url, ledger, seed, stop) for seed in range(count)]
    for sender in senders:
        sender.start()
    left = True
    try:
        yield ledger
        left = gone_at_the_end
    finally:
        stop.set()
        unfinished = _join(senders, 0 if left else DRAIN_SECONDS)
        for sender in unfinished:
            sender.give_up()
        _join(unfinished, DRAIN_SECONDS)
    assert left or not unfinished, f"{len(unfinished)} portals never got their 2xx: {ledger.lies[:3]}"


def _join(senders: list[Portal], seconds: float) -> list[Portal]:
    """Wait for the senders to end; returns those that have not."""
    deadline = time.monotonic() + seconds
    for sender in senders:
        sender.join(max(0.0, deadline - time.monotonic()))
    return [sender for sender in senders if sender.is_alive()]


def wait_for(condition: Any, seconds: float, what: str) -> None:
    """Poll until the condition holds; fails when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.01)


def audit(database_url: str, ledger: Ledger) -> None:
    """Every acknowledged event is in the log once, where it was said to be; nothing else was made up; and the
    sessions are the fold of the log."""
    assert ledger.lies == []
    with Database(database_url) as database:
        with database.read() as connection:
            log = connection.execute(select(webhook_events).order_by(webhook_events.c.position)).all()
        stored = {row.event_id: row.position for row in log}
        assert len(stored) == len(log), "an event is in the log twice"
        lost = {key: at for key, at in ledger.positions.items() if stored.get(key) != at}
        assert lost == {}, f"{len(lost)} of {len(ledger.positions)} acknowledged events are lost or moved"
        invented = [row.event_id for row in log if json.loads(row.payload) != ledger.attempted[row.event_id]]
        assert invented == []
        _check_projection(database)


def _check_projection(database: Database) -> None:
    assert list(verify(database, lambda _phase, _done, _total: None)) == []
    # Verify shares the fold with what it checks; these numbers come from plain SQL.
    log, rows = webhook_events.c, onboard_sessions.c
    counted = select(
        log.session_id, func.count(), func.min(log.effective_at), func.max(log.effective_at)
    ).group_by(log.session_id)
    told = select(rows.session_id, rows.event_count, rows.first_event_at, rows.last_event_at)
    with database.read() as connection:
        assert {tuple(row) for row in connection.execute(counted)} == {
            tuple(row) for row in connection.execute(told)
        }
        if database.is_sqlite:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
