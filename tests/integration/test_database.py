"""Connections: whose they are, how they are prepared, what becomes of what they leave on disk."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from projections.database.commit_signal import watching
from projections.database.database import Database, DatabaseMisconfigured, DatabaseUnavailable
from projections.database.errors import DatabaseUnfit
from tests.deliveries import delivery, store
from tests.servers.process import free_port

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
    with Database(url.render_as_string(hide_password=False)) as database, database.read() as connection:
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
    with Database(sqlite_url) as database:
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
    with Database(sqlite_url) as database:
        lock = Path(f"{database.url.database}.rebuild-lock")
        lock.mkdir()
        with (
            pytest.raises(DatabaseMisconfigured, match=f"{lock} cannot be opened: "),
            database.alone("rebuild"),
        ):
            pass


def test_a_sqlite_file_that_was_replaced_or_removed_is_not_written_to(
    sqlite_url: str, tmp_path: Path
) -> None:
    file = Path(make_url(sqlite_url).database or "")
    copy = shutil.copyfile(file, tmp_path / "copy.db")
    with Database(sqlite_url) as database:
        store(database, delivery("onboarding.started"))
        copy.replace(file)
        for transaction in (database.write, database.read, database.write):
            with pytest.raises(DatabaseUnfit, match="not the file that was opened; restart"), transaction():
                pass
        file.unlink()
        with pytest.raises(DatabaseUnavailable), database.write():
            pass


def test_a_watcher_that_finds_no_database_is_told_that_it_is_unavailable() -> None:
    nowhere = f"postgresql://ops:secret@127.0.0.1:{free_port()}/ops"
    with Database(nowhere) as database, pytest.raises(DatabaseUnavailable), watching(database):
        pass
