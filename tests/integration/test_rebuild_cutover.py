"""The cutover when the database does not play along: readers in the way, answers lost, no gap at all."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Table, update

from projections.database.database import Database, DatabaseMisconfigured, DatabaseUnavailable
from projections.database.tables import funnel_daily, onboard_sessions
from projections.onboarding import state
from projections.rebuild import rebuild, repair, shadow
from tests.deliveries import session_rows
from tests.rebuilds import differences, fill, no_progress


def spoil(database: Database) -> None:
    with database.write() as connection:
        connection.execute(update(onboard_sessions).values(domain="wrong.pt"))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_long_reader_puts_the_cutover_off_and_blocks_nobody(database: Database) -> None:
    fill(database)
    spoil(database)
    answered: list[float] = []
    with database.read() as long_reader:
        long_reader.exec_driver_sql("SELECT count(*) FROM onboard_sessions")
        building = threading.Thread(target=rebuild.rebuild, args=(database, no_progress))
        building.start()
        end = time.monotonic() + 3
        while time.monotonic() < end:
            begun = time.monotonic()
            assert {row["domain"] for row in session_rows(database)} == {"wrong.pt"}
            answered.append(time.monotonic() - begun)
        assert building.is_alive()
    building.join()
    assert differences(database) == []
    assert max(answered) < 1, "readers waited behind the cutover"


def losing_the_answer(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cutover commits, and its connection breaks before it hears so; gives the tables swapped."""
    swapped: list[str] = []
    write, swap = database.write, shadow.swap

    def noted(connection: Connection, live: Table) -> None:
        swap(connection, live)
        swapped.append(live.name)

    @contextmanager
    def broken() -> Iterator[Connection]:
        before = len(swapped)
        with write() as connection:
            yield connection
        if len(swapped) > before:
            raise DatabaseUnavailable("the connection broke")

    monkeypatch.setattr(shadow, "swap", noted)
    monkeypatch.setattr(database, "write", broken)
    return swapped


def test_a_cutover_whose_answer_is_lost_is_done_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database)
    spoil(database)
    swapped = losing_the_answer(database, monkeypatch)
    assert rebuild.rebuild(database, no_progress).position == 90
    assert swapped == ["onboard_sessions", "funnel_daily"]
    assert differences(database) == []


def test_without_a_gap_the_rebuild_gives_up_and_can_be_resumed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database)
    spoil(database)
    tries: list[float] = []

    def busy(_connection: Connection, _live: Table) -> None:
        tries.append(time.monotonic())
        raise DatabaseUnavailable("somebody reads")

    with monkeypatch.context() as patched:
        patched.setattr(shadow, "swap", busy)
        patched.setattr(rebuild, "_CUTOVER_TRIES", 3)
        with pytest.raises(
            repair.RebuildFailed, match="no gap for the cutover after 3 tries: somebody reads"
        ):
            rebuild.rebuild(database, no_progress)
    assert tries[1] - tries[0] >= 0.1
    assert tries[2] - tries[1] >= 0.2, "each pause is longer than the one before"
    assert {row["domain"] for row in session_rows(database)} == {"wrong.pt"}
    with database.read() as connection:
        assert state.shadow_state(connection)[1] is not None
    assert rebuild.rebuild(database, no_progress).resumed
    assert differences(database) == []


def test_a_table_that_is_missing_at_the_cutover_is_not_waited_for(database: Database) -> None:
    fill(database, 3)

    def drop(phase: str, _done: int, _total: int) -> None:
        if phase == "cutover":
            with database.write() as connection:
                funnel_daily.drop(connection)

    with pytest.raises(DatabaseMisconfigured, match="funnel_daily"):
        rebuild.rebuild(database, drop)
