"""Connections: whose they are, how they are prepared, what becomes of what they leave on disk."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from projections.database import Database, DatabaseMisconfigured
from tests.faults.stored_events import opened

ALL_READERS = 16


def test_readers_who_take_every_connection_leave_the_writers_theirs(database: Database) -> None:
    with ExitStack() as readers:
        for _ in range(ALL_READERS):
            readers.enter_context(database.read()).execute(text("SELECT 1"))
        with database.write() as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1


def test_what_the_url_says_of_a_postgresql_connection_is_kept_and_ours_joins_it(postgresql_url: str) -> None:
    given = {"options": "-csearch_path=elsewhere", "application_name": "second-ops"}
    url = make_url(postgresql_url).update_query_dict(given)
    with opened(url.render_as_string(hide_password=False)) as database, database.read() as connection:
        told = {
            name: connection.execute(text(f"SHOW {name}")).scalar()
            for name in ("search_path", "application_name", "lock_timeout", "tcp_keepalives_idle")
        }
    assert told == {
        "search_path": "elsewhere",
        "application_name": "second-ops",
        "lock_timeout": "5s",
        "tcp_keepalives_idle": "15",
    }


def test_sqlites_write_ahead_log_does_not_keep_the_size_of_its_largest_transaction(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        wal = Path(f"{database.url.database}-wal")
        with database.write() as connection:
            connection.execute(text("CREATE TABLE large (bytes BLOB)"))
            connection.execute(text("INSERT INTO large VALUES (zeroblob(100000000))"))
        assert wal.stat().st_size > 100_000_000
        for _ in range(2):
            with database.write() as connection:
                connection.execute(text("INSERT INTO large VALUES ('')"))
        assert wal.stat().st_size < 70_000_000


def test_a_lock_that_cannot_be_opened_is_told_by_its_name(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        lock = Path(f"{database.url.database}.rebuild-lock")
        lock.mkdir()
        with (
            pytest.raises(DatabaseMisconfigured, match=f"{lock} cannot be opened: "),
            database.alone("rebuild"),
        ):
            pass
