"""The only place where transactions begin and commit.

`write()` admits one writer at a time on both databases: SQLite by BEGIN IMMEDIATE, PostgreSQL by an advisory
lock that the transaction holds until it ends. So positions are taken and committed in the same order, and a
reader that has seen position N has seen everything before it (docs/decisions/0002).
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from projections.database.engines import READING, SCANNING, WRITING, postgresql_engine, sqlite_engine
from projections.database.errors import AlreadyRunning as AlreadyRunning
from projections.database.errors import DatabaseMisconfigured as DatabaseMisconfigured
from projections.database.errors import DatabaseUnavailable as DatabaseUnavailable
from projections.database.errors import reason, translated
from projections.database.sqlite_file import OpenedFile, require_usable

WRITE_LOCK: Final = 0x6F70735F77726974
"""Key of PostgreSQL's advisory write lock: "ops_writ" in ASCII."""

COMMITS: Final = "ops_commits"
"""PostgreSQL's channel on which every write transaction tells that it has committed."""

_BEGIN_WRITE: Final = text(f"SELECT pg_advisory_xact_lock(:key), pg_notify('{COMMITS}', '')")


class Database:
    """One database: `read()` for snapshots, `write()` for changes."""

    def __init__(self, url: str, *, must_exist: bool = False) -> None:
        """Open nothing yet. Raises DatabaseMisconfigured for a URL that names no supported database.

        SQLite makes a missing file, and this its folder, unless it must exist.
        """
        self.url = parse_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            path = Path(self.url.database or "")
            require_usable(path, must_exist=must_exist)
            file = OpenedFile(path)
            self._writer = sqlite_engine(self.url, file, "BEGIN IMMEDIATE", WRITING)
            self._reader = sqlite_engine(self.url, file, "BEGIN", READING)
            self._scanner = sqlite_engine(self.url, file, "BEGIN", SCANNING)
        else:
            self._writer = postgresql_engine(self.url)
            # Of its own: readers that take all their connections shall leave the writers theirs.
            self._reader = postgresql_engine(self.url).execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            self._scanner = self._reader

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only snapshot: every query inside sees the same moment.

        Raises DatabaseUnavailable.
        """
        with translated(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def scan(self) -> Iterator[Connection]:
        """Like `read()`, for going once through much: for commands, not for the service.

        SQLite then reads rows where the operating system has the file in memory, which is the system's to
        take back, and keeps no copies. A disk that fails meanwhile ends the process. Raises
        DatabaseUnavailable.
        """
        with translated(), self._scanner.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """The write transaction, one at a time; durable once this returns without an error.

        Raises DatabaseUnavailable; then nothing of it was committed, or the connection broke during the
        commit itself and the caller must ask again.
        """
        with self.write_aside() as connection:
            if not self.is_sqlite:
                connection.execute(_BEGIN_WRITE, {"key": WRITE_LOCK})
            yield connection

    @contextmanager
    def write_aside(self) -> Iterator[Connection]:
        """A write transaction on tables that are the caller's alone: on PostgreSQL it holds up no other.

        SQLite knows one write lock. Raises DatabaseUnavailable.
        """
        with translated(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def apart(self) -> Iterator[Any]:
        """A driver's connection outside the pool and outside any transaction, for watching only.

        Raises DatabaseUnavailable.
        """
        try:
            with translated():
                pooled = self._reader.raw_connection()
            connection = pooled.driver_connection
            pooled.detach()
            try:
                yield connection
            finally:
                pooled.close()
        except self._reader.dialect.loaded_dbapi.Error as error:
            raise DatabaseUnavailable(reason(error)) from error

    @contextmanager
    def alone(self, task: str) -> Iterator[None]:
        """Hold `task` for this process until the block ends or the process dies.

        Raises AlreadyRunning when another process holds it.
        """
        hold = _hold_file if self.is_sqlite else _hold_advisory_lock
        with hold(self._writer, task) as held:
            if not held:
                raise AlreadyRunning(f"another {task} is running on this database; wait for it to end")
            yield

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_error: object) -> None:
        self.dispose()

    def dispose(self) -> None:
        """Close all connections."""
        self._writer.dispose()
        self._reader.dispose()
        self._scanner.dispose()


def parse_url(url: str) -> URL:
    """The URL with the driver this service uses. Raises DatabaseMisconfigured."""
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except Exception:
        raise DatabaseMisconfigured(
            "OPS_DATABASE_URL cannot be read; use sqlite:///var/ops.db or postgresql://…"
        ) from None
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise DatabaseMisconfigured("the SQLite URL must name a file, such as sqlite:///var/ops.db")
        if parsed.query:
            raise DatabaseMisconfigured(
                "OPS_DATABASE_URL: a SQLite URL ends with the file's name; leave out the ? and what follows"
            )
        return parsed.set(drivername="sqlite+pysqlite")
    if backend in ("postgresql", "postgres"):
        if "@" in (parsed.host or ""):
            # What the rest of the password is taken for would be told as the server's name.
            raise DatabaseMisconfigured("OPS_DATABASE_URL: write an @ in the password as %40")
        usable = parsed.set(drivername="postgresql+psycopg")
        try:
            usable.get_dialect()().create_connect_args(usable)
        except ArgumentError as error:  # several hosts, and ports that do not match them
            raise DatabaseMisconfigured(f"OPS_DATABASE_URL: {error}") from None
        return usable
    raise DatabaseMisconfigured(
        f"OPS_DATABASE_URL: {backend} is not supported; use sqlite:///… or postgresql://…"
    )


@contextmanager
def _hold_file(engine: Engine, task: str) -> Iterator[bool]:
    path = Path(f"{engine.url.database}.{task}-lock")
    try:
        file = path.open("w")
    except OSError as error:
        raise DatabaseMisconfigured(f"{path} cannot be opened: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def _hold_advisory_lock(engine: Engine, task: str) -> Iterator[bool]:
    with (
        translated(),
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        query = text("SELECT pg_try_advisory_lock(hashtext(:task))")
        held = connection.execute(query, {"task": task}).scalar_one()
        try:
            yield held
        finally:
            # The connection goes back to the pool with its lock, else.
            if held:
                connection.execute(text("SELECT pg_advisory_unlock(hashtext(:task))"), {"task": task})
