"""One script of ingest, faults and rebuilds, run on SQLite and PostgreSQL at once, against the oracle."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Select, delete, select

from portal_hooks.instants import DAY
from projections.database.database import Database
from projections.database.tables import (
    funnel_daily,
    onboard_sessions,
    projection_state,
    quarantined_events,
    tickets,
)
from projections.onboarding import fold, quarantine
from projections.onboarding.events import Event
from projections.onboarding.fold import Effect, Session
from projections.onboarding.projector import project, refold
from projections.rebuild import rebuild, repair, scan
from projections.rebuild.rebuild import Progress
from projections.rebuild.repair import RebuildFailed
from projections.rebuild.verify import verify
from tests.deliveries import START, session_rows, wipe
from tests.integration.test_rebuild_resumed import Killed, killed_at
from tests.property import oracle
from tests.property.histories import EVENT_IDS, by_session, events, expected_row, near_start, to_delivery
from tests.property.logged_history import logged_history
from tests.rebuilds import no_progress
from tests.sizes import size

SESSIONS = ["s1", "S1", "s-2", "t"]

NOW = START + DAY

long_ago = st.integers(-3, -1).map(lambda step: START + step * DAY // 2)
late_and_new = near_start() | long_ago
steps = st.integers(0, 6)

History = list[oracle.OracleEvent]


class FragileFold:
    """The real fold, which can be told to raise, half way through, on events with certain ids."""

    def __init__(self, healthy: Callable[[Session, Event], Effect]) -> None:
        self.raises_on: frozenset[str] = frozenset()
        self._healthy = healthy

    def __call__(self, session: Session, event: Event) -> Effect:
        effect = self._healthy(session, event)
        if event.event_id in self.raises_on:
            raise ZeroDivisionError(event.event_id)
        return effect


class RebuildMachine(RuleBasedStateMachine):
    """What is true of both databases after each step is in `rows_are_the_oracle_s`."""

    def __init__(self, databases: tuple[Database, Database], fold: FragileFold) -> None:
        super().__init__()
        self.databases = databases
        self.fold = fold
        fold.raises_on = frozenset()
        self.known: dict[tuple[str, str], oracle.OracleEvent] = {}
        self.on_both(_empty)

    def on_both(self, action: Callable[[Database], Any]) -> Any:
        """What the action gives on one database, which must be what it gives on the other."""
        first, second = (action(database) for database in self.databases)
        assert first == second
        return first

    @rule(batch=st.lists(events(late_and_new, SESSIONS), min_size=1, max_size=5))
    def ingest(self, batch: History) -> None:
        self._note(batch, self.on_both(lambda database: _store(database, batch)))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.known)))
        receipts = self.on_both(lambda database: _store(database, [self.known[key]] * 2))
        assert [status for status, _ in receipts] == ["duplicate"] * 2

    @rule(ids=st.frozensets(st.sampled_from(EVENT_IDS), min_size=2, max_size=8))
    def break_the_fold(self, ids: frozenset[str]) -> None:
        self.fold.raises_on = ids

    @rule()
    def mend_the_fold(self) -> None:
        self.fold.raises_on = frozenset()

    @rule()
    def retry_quarantined(self) -> None:
        left = self.on_both(_retry)
        assert left == len(self.on_both(_quarantined))
        assert left == 0 or self.fold.raises_on

    @rule(session_id=st.sampled_from(SESSIONS))
    def rebuild_one(self, session_id: str) -> None:
        outcome = self.on_both(lambda database: _rebuild_session(database, session_id))
        if outcome == "failed":
            assert self._marked(session_id)
        else:
            assert outcome == (session_id in {event["session_id"] for event in self.known.values()})
            assert not self._marked(session_id)

    @rule(keep_going=st.booleans())
    def rebuild_all(self, keep_going: bool) -> None:
        before = self.on_both(session_rows)
        outcome = self.on_both(lambda database: _rebuild(database, no_progress, keep_going))
        self._check_outcome(outcome, before, keep_going)

    @rule(batch=st.lists(events(late_and_new, SESSIONS), min_size=1, max_size=3), step=steps)
    def rebuild_while_events_come(self, batch: History, step: int) -> None:
        received = self.on_both(lambda database: _rebuild_meanwhile(database, batch, step))
        if received is not None:
            self._note(batch, received)

    @rule(step=steps, keep_going=st.booleans())
    def kill_a_rebuild(self, step: int, keep_going: bool) -> None:
        self.on_both(lambda database: _rebuild_killed(database, step, keep_going))

    @rule()
    def verify_all(self) -> None:
        found = self.on_both(lambda database: [tuple(each) for each in verify(database, no_progress)])
        assert found == [] or self.fold.raises_on
        assert {field for _, field, _, _ in found} <= {"fold", *onboard_sessions.c.keys(), "row"}

    @invariant()
    def rows_are_the_oracle_s(self) -> None:
        out = self.on_both(_quarantined)
        history = self.on_both(lambda database: logged_history(database, frozenset(out)))
        folded = {key: expected_row(key, own) for key, own in sorted(by_session(history).items())}
        assert self.on_both(session_rows) == list(folded.values())
        assert self.on_both(lambda database: _all(database, select(funnel_daily))) == _days(folded.values())
        self._check_tickets(by_session(history))

    def _check_tickets(self, sessions: dict[str, History]) -> None:
        query = select(tickets.c.session_id, tickets.c.ready_for_ops).order_by(tickets.c.session_id)
        found = dict(self.on_both(lambda database: _all(database, query)))
        wanted = {key: oracle.ticket(own) for key, own in sessions.items()}
        # A ticket stays when the event that opened it is quarantined later.
        assert {key: found.get(key) for key, ready in wanted.items() if ready is not None} == {
            key: ready for key, ready in wanted.items() if ready is not None
        }

    def _check_outcome(self, outcome: Any, before: Any, keep_going: bool) -> None:
        marked = self._marked(*SESSIONS)
        if marked and not keep_going:
            assert outcome == "failed"
            assert self.on_both(session_rows) == before
        else:
            assert outcome == marked
            assert len(self.on_both(_quarantined)) == marked
        if outcome == 0:
            assert self.on_both(lambda database: list(verify(database, no_progress))) == []

    def _marked(self, *session_ids: str) -> int:
        """How many events of the log the fold raises on now."""
        return sum(
            event["event_id"] in self.fold.raises_on and event["session_id"] in session_ids
            for event in self.known.values()
        )

    def _note(self, batch: History, receipts: list[tuple[str, int]]) -> None:
        for event, (status, _) in zip(batch, receipts, strict=True):
            key = (event["source"], event["event_id"])
            assert (status == "created") == (key not in self.known)
            self.known.setdefault(key, event)
            assert (status == "conflict") <= (event != self.known[key])


def _empty(database: Database) -> None:
    with database.write() as connection:
        wipe(connection)
        connection.execute(delete(projection_state))


def _store(database: Database, batch: History) -> list[tuple[str, int]]:
    with database.write() as connection:
        receipts = project(connection, [to_delivery(event) for event in batch])
    return [(receipt.status, receipt.position) for receipt in receipts]


def _retry(database: Database) -> int:
    with database.write() as connection:
        return len(refold(connection, quarantine.sessions(connection), NOW))


def _rebuild(database: Database, progress: Progress, keep_going: bool) -> int | str:
    try:
        return rebuild.rebuild(database, progress, keep_going=keep_going).quarantined
    except RebuildFailed:
        return "failed"


def _rebuild_session(database: Database, session_id: str) -> bool | str:
    try:
        return repair.rebuild_session(database, session_id)
    except RebuildFailed:
        return "failed"


def _rebuild_killed(database: Database, step: int, keep_going: bool) -> None:
    """Killed after its cutover, it leaves tickets out of step; the next run of --if-stale settles them."""
    with suppress(Killed):
        _rebuild(database, killed_at(step), keep_going)
    repair.settle_tickets(database)


def _rebuild_meanwhile(database: Database, batch: History, step: int) -> list[tuple[str, int]] | None:
    """The receipts of what came in at the step; None when the rebuild had fewer."""
    told = count()
    receipts = None

    def receive(_phase: str, _done: int, _total: int) -> None:
        nonlocal receipts
        if next(told) == step:
            receipts = _store(database, batch)

    _rebuild(database, receive, keep_going=False)
    return receipts


def _quarantined(database: Database) -> list[int]:
    return [
        row[0] for row in _all(database, select(quarantined_events).order_by(quarantined_events.c.position))
    ]


def _all(database: Database, query: Select[Any]) -> list[tuple[Any, ...]]:
    with database.read() as connection:
        return sorted(tuple(row) for row in connection.execute(query))


def _days(rows: Any) -> list[tuple[int, ...]]:
    """funnel_daily by brute force over the oracle's rows."""
    counted = [row for row in rows if row["current_stage"] is not None]
    days = sorted({row["first_event_at"] // DAY * DAY for row in counted})
    return [
        (day, *_day([row for row in counted if row["first_event_at"] // DAY * DAY == day])) for day in days
    ]


def _day(rows: list[dict[str, Any]]) -> Iterator[int]:
    yield len(rows)
    stands_at = [oracle.STAGE_ORDER.index(row["furthest_stage"] or "started") for row in rows]
    for index in range(len(oracle.STAGE_ORDER)):
        yield sum(furthest >= index for furthest in stands_at)
    yield sum(row["current_stage"] == "failed" for row in rows)


@pytest.fixture
def databases(sqlite_url: str, postgresql_url: str) -> Iterator[tuple[Database, Database]]:
    """Both, side by side."""
    pair = (Database(sqlite_url), Database(postgresql_url))
    yield pair
    for database in pair:
        database.dispose()


@pytest.mark.timeout(600)  # a failing script is made as short as possible, which takes its time
def test_both_databases_hold_what_the_oracle_says(
    databases: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine.logger, "disabled", True)
    fragile = FragileFold(fold.apply)
    monkeypatch.setattr(fold, "apply", fragile)
    monkeypatch.setattr(scan, "RANGE_EVENTS", 3)
    monkeypatch.setattr(rebuild, "CUTOVER_SESSIONS", 1)
    monkeypatch.setattr(repair, "TOGETHER", 1)

    class Machine(RebuildMachine):
        def __init__(self) -> None:
            super().__init__(databases, fragile)

    run_state_machine_as_test(
        Machine,
        settings=examples(
            max_examples=size(brief=12, long=40),
            stateful_step_count=20,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
