"""Positions are committed in the order in which they are taken, and no rebuild overtakes a slow writer.

The interleaving by which event stores lose events: A takes position 1, B takes 2 and commits, a reader notes
"seen up to 2", A commits. Here every schedule is driven by hand: a writer stops between taking its position
and committing until the test lets it go.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import select, text, update

from projections import log
from projections.database.database import Database
from projections.database.tables import onboard_sessions, webhook_events
from projections.onboarding import history
from projections.onboarding.projector import project
from projections.rebuild import rebuild, scan, shadow
from projections.rebuild.rebuild import Summary
from projections.rebuild.repair import RebuildFailed
from tests.deliveries import delivery, session_row, session_rows, store
from tests.property.logged_history import oracle_rows
from tests.rebuilds import differences, fill, no_progress

SHORT = 0.3
"""Seconds in which whatever is not held up would long be done."""


class SlowWriter:
    """A transaction that has taken its position and commits when told to."""

    def __init__(self, pool: ThreadPoolExecutor, database: Database, session_id: str) -> None:
        self._may_commit = threading.Event()
        self._has_position = threading.Event()
        self.position: Future[int] = pool.submit(self._write, database, session_id)
        assert self._has_position.wait(10), "the writer never got its turn"

    def commit(self) -> int:
        """Let it commit; returns its position."""
        self._may_commit.set()
        return self.position.result(10)

    def _write(self, database: Database, session_id: str) -> int:
        with database.write() as connection:
            [receipt] = project(connection, [delivery("account.created", session_id, 99)])
            self._has_position.set()
            assert self._may_commit.wait(30)
            return receipt.position


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads; a test that fails must not leave one waiting for its turn."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


def is_waiting(future: "Future[Any]") -> bool:
    time.sleep(SHORT)
    return not future.done()


def head_of(database: Database) -> int:
    with database.read() as connection:
        return log.head(connection)


def test_a_second_writer_takes_no_position_until_the_first_has_committed(
    database: Database, pool: ThreadPoolExecutor
) -> None:
    first = SlowWriter(pool, database, "first")
    second = pool.submit(store, database, delivery("account.created", "second"))
    assert is_waiting(second)
    assert head_of(database) == 0, "a reader must not see past what is not committed"
    assert first.commit() == 1
    [receipt] = second.result(10)
    assert receipt.position == 2


def test_each_reader_sees_a_prefix_of_the_log(database: Database, pool: ThreadPoolExecutor) -> None:
    """Whatever a reader sees up to N stays all that there is up to N."""
    done = threading.Event()

    def write(writer: int) -> None:
        for number in range(25):
            store(database, delivery("domain.validated", f"w{writer}", number))

    def read() -> dict[int, set[int]]:
        seen: dict[int, set[int]] = {}
        while not done.is_set():
            with database.read() as connection:
                positions = set(connection.execute(select(webhook_events.c.position)).scalars())
            seen[max(positions, default=0)] = positions
        return seen

    reader = pool.submit(read)
    try:
        for writer in [pool.submit(write, number) for number in range(4)]:
            writer.result(60)
    finally:
        done.set()
    with database.read() as connection:
        final = set(connection.execute(select(webhook_events.c.position)).scalars())
    seen = reader.result(10)
    assert len(seen) > 1
    for last, positions in seen.items():
        assert positions == {position for position in final if position <= last}


@contextmanager
def stopped(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> Iterator[tuple[threading.Event, Any]]:
    """The function waits before its first call; gives what tells that it was reached, and what lets it go."""
    reached, go_on = threading.Event(), threading.Event()
    function = getattr(owner, name)

    def wait_once(*arguments: Any, **options: Any) -> Any:
        if not reached.is_set():
            reached.set()
            assert go_on.wait(30)
        return function(*arguments, **options)

    monkeypatch.setattr(owner, name, wait_once)
    try:
        yield reached, go_on
    finally:
        go_on.set()


def rebuilding(pool: ThreadPoolExecutor, database: Database) -> "Future[Summary]":
    return pool.submit(rebuild.rebuild, database, no_progress)


def assert_nothing_is_missed(database: Database, expected: set[str]) -> None:
    rows = session_rows(database)
    assert expected <= {row["session_id"] for row in rows}
    assert rows == oracle_rows(database)
    assert differences(database) == []


def test_a_writer_before_the_beginning(database: Database, pool: ThreadPoolExecutor) -> None:
    fill(database, 5)
    writer = SlowWriter(pool, database, "early")
    building = rebuilding(pool, database)
    assert is_waiting(building), "the position to catch up from was read past a writer"
    position = writer.commit()
    assert building.result(30).position == position
    assert_nothing_is_missed(database, {"early"})


@pytest.mark.parametrize("step", ["_fill", "_index_and_derive", "_cut_over", "_catch_up", "settle_tickets"])
def test_a_writer_at_each_step(
    database: Database, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Its position is taken before the step's reads and committed after them."""
    monkeypatch.setattr(scan, "RANGE_EVENTS", 5)
    fill(database, 5)
    monkeypatch.setattr(rebuild, "CUTOVER_SESSIONS", 1)
    # More to catch up with than the cutover does by itself, so that the loop goes round.
    more = [delivery("dns.applied", session_id, 50) for session_id in ("s1", "s3")]
    _after(monkeypatch, "_fill", lambda: store(database, *more))
    with stopped(monkeypatch, rebuild, step) as (reached, go_on):
        building = rebuilding(pool, database)
        assert reached.wait(30)
        writer = SlowWriter(pool, database, "slow")
        go_on.set()
        if step != "settle_tickets":
            assert is_waiting(building), "the rebuild wrote past a writer"
        writer.commit()
        building.result(30)
    assert_nothing_is_missed(database, {"slow", "s1", "s3"})


def test_on_postgresql_the_shadow_is_filled_beside_a_writer(
    postgresql: Database, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long an index of the shadow takes: no event waits for it."""
    fill(postgresql, 5)
    with (
        stopped(monkeypatch, rebuild, "_fill") as (begun, fill_it),
        stopped(monkeypatch, rebuild, "_cut_over") as (filled, cut_over),
    ):
        building = rebuilding(pool, postgresql)
        assert begun.wait(30)
        writer = SlowWriter(pool, postgresql, "slow")
        fill_it.set()
        assert filled.wait(30), "filling the shadow waited for a writer"
        writer.commit()
        cut_over.set()
        building.result(30)
    assert_nothing_is_missed(postgresql, {"slow"})


def test_a_writer_whose_session_lies_before_what_is_replayed(
    database: Database, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The range its session belongs to was read without it: only the catch-up can find it."""
    fill(database, 5)
    writers: list[SlowWriter] = []

    def read_while_one_writes(*arguments: Any) -> Any:
        if not writers:
            writers.append(SlowWriter(pool, database, "a-early"))
            found = history.histories(*arguments)
            writers[0].commit()
            return found
        return history.histories(*arguments)

    monkeypatch.setattr(rebuild, "histories", read_while_one_writes)
    summary = rebuild.rebuild(database, no_progress)
    assert summary.position == writers[0].position.result()
    assert_nothing_is_missed(database, {"a-early"})


def test_a_writer_that_waits_for_the_cutover_writes_into_the_new_table(
    database: Database, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, 5)
    with stopped(monkeypatch, rebuild, "_swap") as (reached, go_on):
        building = rebuilding(pool, database)
        assert reached.wait(30)
        writer = pool.submit(store, database, delivery("account.created", "s0", 90))
        assert is_waiting(writer), "ingest went on while the tables were swapped"
        go_on.set()
        building.result(30)
        writer.result(30)
    assert session_row(database, "s0")["current_stage"] == "account_created"
    assert_nothing_is_missed(database, {"s0"})


def _after(monkeypatch: pytest.MonkeyPatch, name: str, action: Callable[[], object]) -> None:
    function = getattr(rebuild, name)

    def then(*arguments: Any, **options: Any) -> Any:
        result = function(*arguments, **options)
        action()
        return result

    monkeypatch.setattr(rebuild, name, then)


@pytest.fixture
def postgresql(postgresql_url: str) -> Iterator[Database]:
    """Only there does a reader hold up the swap."""
    database = Database(postgresql_url)
    yield database
    database.dispose()


@contextmanager
def long_reader(database: Database) -> Iterator[None]:
    """A report that has read the live table and is not done yet."""
    with database.read() as connection:
        connection.execute(text("SELECT count(*) FROM onboard_sessions")).scalar_one()
        yield


def make_wrong(database: Database) -> None:
    with database.write() as connection:
        connection.execute(update(onboard_sessions).values(domain="wrong.pt"))


def test_the_cutover_waits_for_a_long_reader(postgresql: Database, pool: ThreadPoolExecutor) -> None:
    fill(postgresql, 5)
    make_wrong(postgresql)
    with long_reader(postgresql):
        building = rebuilding(pool, postgresql)
        assert is_waiting(building)
        store(postgresql, delivery("account.created", "meanwhile"))
        started = time.monotonic()
        assert session_row(postgresql, "s0")["domain"] == "wrong.pt"
        assert time.monotonic() - started < 2, "readers pile up behind the cutover"
    building.result(30)
    assert session_row(postgresql, "s0")["domain"] is None
    assert_nothing_is_missed(postgresql, {"meanwhile"})


def test_a_reader_without_end_is_said_and_nothing_is_changed(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "_CUTOVER_TRIES", 2)
    fill(postgresql, 5)
    make_wrong(postgresql)
    with long_reader(postgresql), pytest.raises(RebuildFailed, match="no gap for the cutover after 2 tries"):
        rebuild.rebuild(postgresql, no_progress)
    assert session_row(postgresql, "s0")["domain"] == "wrong.pt"
    with postgresql.read() as connection:
        assert shadow.exists(connection, onboard_sessions)


def test_after_the_reader_has_gone_the_rebuild_goes_on_where_it_was(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(postgresql, 5)
    make_wrong(postgresql)
    with monkeypatch.context() as impatient:
        impatient.setattr(rebuild, "_CUTOVER_TRIES", 1)
        with long_reader(postgresql), pytest.raises(RebuildFailed):
            rebuild.rebuild(postgresql, no_progress)
    store(postgresql, delivery("account.created", "meanwhile"))
    assert rebuild.rebuild(postgresql, no_progress).resumed
    assert_nothing_is_missed(postgresql, {"meanwhile"})


def test_a_reader_on_sqlite_holds_nothing_up(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    try:
        fill(database, 5)
        make_wrong(database)
        with database.read() as connection:
            before = connection.execute(select(onboard_sessions)).all()
            rebuild.rebuild(database, no_progress)
            assert connection.execute(select(onboard_sessions)).all() == before
        assert differences(database) == []
    finally:
        database.dispose()
