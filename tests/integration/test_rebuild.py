"""The rebuild: beside the live table, while ingest goes on, and the schema afterwards as it was."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from sqlalchemy import delete, inspect, select, text, update

from projections.database.database import AlreadyRunning, Database
from projections.database.tables import onboard_sessions, projection_state, quarantined_events
from projections.onboarding import fold, state
from projections.onboarding.events import Event
from projections.onboarding.fold import Effect, Session
from projections.rebuild import rebuild, repair, scan, shadow
from projections.rebuild.repair import RebuildFailed
from projections.rebuild.shadow import shadow_of
from tests.deliveries import delivery, session_row, session_rows, store
from tests.rebuilds import KINDS, differences, fill, no_progress


@contextmanager
def repeating(action: Callable[[], None]) -> Iterator[None]:
    """Do the action again and again in a thread until the block ends; what it raised is raised then."""
    done = threading.Event()
    raised: list[BaseException] = []

    def run() -> None:
        try:
            while not done.is_set():
                action()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if raised:
        raise raised[0]


def schema(database: Database) -> list[object]:
    """Every table and index with its name and definition, as the database keeps it, quotes aside."""
    with database.read() as connection:
        if database.is_sqlite:
            query = (
                "SELECT type, name, tbl_name, replace(sql, '\"', '') FROM sqlite_schema ORDER BY type, name"
            )
        else:
            query = (
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
                " UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
                " UNION ALL SELECT table_name || '.' || column_name || '.' || ordinal_position,"
                " data_type || is_nullable || coalesce(collation_name, '') FROM information_schema.columns"
                " WHERE table_schema = 'public' ORDER BY 1, 2"
            )
        return [tuple(row) for row in connection.execute(text(query))]


@pytest.mark.parametrize("chunk", [1, 7, 20_000])
def test_rows_are_built_anew_and_equal(
    database: Database, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(scan, "RANGE_EVENTS", chunk)
    fill(database)
    before = session_rows(database)
    with database.write() as connection:
        connection.execute(delete(onboard_sessions))
    summary = rebuild.rebuild(database, no_progress)
    assert session_rows(database) == before
    assert (summary.sessions, summary.events, summary.position) == (30, 90, 90)
    assert differences(database) == []


def test_an_empty_log_gives_an_empty_table(database: Database) -> None:
    assert rebuild.rebuild(database, no_progress) == rebuild.Summary(0, 0, 0, resumed=False, quarantined=0)
    assert session_rows(database) == []


def test_the_schema_afterwards_is_name_by_name_what_it_was(database: Database) -> None:
    fill(database)
    before = schema(database)
    for _ in range(2):
        rebuild.rebuild(database, no_progress)
        assert schema(database) == before
    with database.read() as connection:
        if database.is_sqlite:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]
        names = {index["name"] for index in inspect(connection).get_indexes("onboard_sessions")}
        assert names == {index.name for index in onboard_sessions.indexes}


def test_the_new_indexes_are_used(database: Database) -> None:
    fill(database)
    rebuild.rebuild(database, no_progress)
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    query = "SELECT session_id FROM onboard_sessions WHERE domain = 'a.pt' AND last_event_at > 0"
    with database.read() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + query))
    assert "ix_onboard_sessions_domain_last_event_at" in plan


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_connection_that_cut_over_is_as_any_other_afterwards(database: Database) -> None:
    rebuild.rebuild(database, no_progress)
    with database.write() as connection:
        for pragma in ("legacy_alter_table", "writable_schema"):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() == 0


def test_ingest_goes_on_meanwhile_and_nothing_is_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "RANGE_EVENTS", 10)
    monkeypatch.setattr(rebuild, "CUTOVER_SESSIONS", 5)
    fill(database)
    sent = count()

    def ingest() -> None:
        number = next(sent)
        late = delivery(KINDS[number % len(KINDS)], f"s{number % 37}", -number, event_id=f"live-{number}")
        store(database, late, delivery("dns.applied", f"new{number}", number))
        time.sleep(0.005)

    with repeating(ingest):
        for _ in range(3):
            rebuild.rebuild(database, no_progress)
    assert next(sent) > 3, "nothing was ingested while the rebuild ran"
    assert differences(database) == []


def test_readers_never_see_an_empty_or_half_table(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "RANGE_EVENTS", 10)
    fill(database)
    seen: set[int] = set()
    with repeating(lambda: seen.add(len(session_rows(database)))):
        for _ in range(5):
            rebuild.rebuild(database, no_progress)
    assert seen == {30}


def test_what_a_killed_rebuild_left_is_cleared_away(database: Database) -> None:
    fill(database)
    before = schema(database)
    with database.write() as connection:
        shadow.create(connection, onboard_sessions)
        leftover = shadow_of(onboard_sessions)
        copied = select(onboard_sessions).where(onboard_sessions.c.session_id == "s1")
        connection.execute(leftover.insert().from_select(list(leftover.c), copied))
        connection.execute(update(leftover).values(session_id="nobody", current_stage="lost"))
    rebuild.rebuild(database, no_progress)
    assert "nobody" not in [row["session_id"] for row in session_rows(database)]
    assert schema(database) == before


@pytest.fixture
def other(database_url: str) -> Iterator[Database]:
    """The same database, as another process would open it."""
    other = Database(database_url)
    yield other
    other.dispose()


def test_a_second_rebuild_is_refused_while_one_runs(database: Database, other: Database) -> None:
    fill(database)
    refused = []

    def during(_phase: str, _done: int, _total: int) -> None:
        with pytest.raises(AlreadyRunning, match="another rebuild"):
            rebuild.rebuild(other, no_progress)
        refused.append(True)

    rebuild.rebuild(database, during)
    assert refused
    rebuild.rebuild(other, no_progress)
    assert differences(database) == []


@pytest.fixture
def raising_fold(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The fold raises on dns.applied."""
    healthy = fold.apply

    def apply(session: Session, event: Event) -> Effect:
        if event.event_type == "dns.applied":
            raise ZeroDivisionError("a bug")
        return healthy(session, event)

    monkeypatch.setattr(fold, "apply", apply)
    return monkeypatch


def test_a_fold_that_raises_names_event_and_session_and_leaves_the_rows(
    database: Database, raising_fold: pytest.MonkeyPatch
) -> None:
    fill(database)
    store(database, delivery("dns.applied", "s7", 9, event_id="evt-9"))
    before = session_rows(database)
    with pytest.raises(
        RebuildFailed, match=r"event 91 \(dns\.applied, id evt-9\) of session s7: ZeroDivisionError: a bug"
    ):
        rebuild.rebuild(database, no_progress)
    with pytest.raises(RebuildFailed, match="session s7"):
        repair.rebuild_session(database, "s7")
    assert session_rows(database) == before
    assert differences(database) == [], "what is quarantined is no difference"
    with database.write() as connection:
        connection.execute(delete(quarantined_events))
    assert ("s7", "fold") in differences(database)


def test_after_a_failed_rebuild_the_next_one_may_run(
    database: Database, other: Database, raising_fold: pytest.MonkeyPatch
) -> None:
    store(database, delivery("dns.applied"))
    with pytest.raises(RebuildFailed):
        rebuild.rebuild(database, no_progress)
    raising_fold.undo()
    rebuild.rebuild(other, no_progress)
    assert session_row(database)["current_stage"] == "dns_applied"


def test_a_rebuild_takes_in_what_was_quarantined(
    database: Database, raising_fold: pytest.MonkeyPatch
) -> None:
    store(
        database,
        delivery("onboarding.started"),
        delivery("dns.applied", minute=1),
        delivery("account.created"),
    )
    raising_fold.undo()
    rebuild.rebuild(database, no_progress)
    with database.read() as connection:
        assert connection.execute(select(quarantined_events)).all() == []
    assert session_row(database)["event_count"] == 3
    assert differences(database) == []


def test_what_a_late_event_mends_meanwhile_is_not_quarantined(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = fold.apply

    def apply(session: Session, event: Event) -> Effect:
        if event.event_type == "dns.applied" and session.event_count == 0:
            raise ZeroDivisionError("a bug")
        return healthy(session, event)

    def mend(phase: str, _done: int, _total: int) -> None:
        if phase == "indexes":
            store(database, delivery("onboarding.started", minute=-1))

    monkeypatch.setattr(fold, "apply", apply)
    store(database, delivery("dns.applied"))
    assert rebuild.rebuild(database, mend, keep_going=True).quarantined == 0
    assert session_row(database)["event_count"] == 2
    assert differences(database) == []


def test_a_rebuild_notes_by_which_logic_the_rows_were_built(database: Database) -> None:
    with database.write() as connection:
        state.claim(connection)
        connection.execute(update(projection_state).values(fingerprint="older"))
        assert state.freshness(connection) == "stale"
    rebuild.rebuild(database, no_progress)
    with database.read() as connection:
        assert state.freshness(connection) == "current"
