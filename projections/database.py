"""Engines, pragmas, and the only place where transactions begin and commit.

`write()` admits one writer at a time on both databases: SQLite by BEGIN IMMEDIATE, PostgreSQL by an advisory
lock that the transaction holds until it ends. So positions are taken and committed in the same order, and a
reader that has seen position N has seen everything before it (docs/decisions/0002).
"""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url

from projections.database_errors import AlreadyRunning as AlreadyRunning
from projections.database_errors import DatabaseMisconfigured as DatabaseMisconfigured
from projections.database_errors import DatabaseUnavailable as DatabaseUnavailable
from projections.database_errors import reason, translated
from projections.sqlite_file import require_sqlite_file, require_usable

WRITE_LOCK: Final = 0x6F70735F77726974
"""Key of PostgreSQL's advisory write lock: "ops_writ" in ASCII."""

COMMITS: Final = "ops_commits"
"""PostgreSQL's channel on which every write transaction tells that it has committed."""

_BEGIN_WRITE: Final = text(f"SELECT pg_advisory_xact_lock(:key), pg_notify('{COMMITS}', '')")

BUSY_TIMEOUT_MS: Final = 5_000

_WRITING: Final = ("PRAGMA cache_size = -32768",)
_READING: Final = ("PRAGMA cache_size = -32768", "PRAGMA query_only = ON")
_SCANNING: Final = ("PRAGMA cache_size = -2048", "PRAGMA query_only = ON", f"PRAGMA mmap_size = {2**40}")

# The WAL-reset bug can corrupt a database; fixed in these releases (sqlite.org/wal.html).
_SAFE_SQLITE: Final = ((3, 51, 3), (3, 50, 7), (3, 44, 6))

_PRAGMAS: Final = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "busy_timeout": BUSY_TIMEOUT_MS,
}


# For NULL, bytes and bool the driver looks for an adapter in several places before it binds them, which
# costs twenty times the binding; one that is registered is found at once.
sqlite.register_adapter(type(None), lambda _none: None)
sqlite.register_adapter(bytes, bytes)
sqlite.register_adapter(bool, int)


class Database:
    """One database: `read()` for snapshots, `write()` for changes."""

    def __init__(self, url: str, *, must_exist: bool = False) -> None:
        """Open nothing yet. Raises DatabaseMisconfigured for a URL that names no supported database.

        SQLite makes a missing file, and this its folder, unless it must exist.
        """
        self.url = parse_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            require_usable(Path(self.url.database or ""), must_exist=must_exist)
            self._writer = _sqlite_engine(self.url, "BEGIN IMMEDIATE", _WRITING)
            self._reader = _sqlite_engine(self.url, "BEGIN", _READING)
            self._scanner = _sqlite_engine(self.url, "BEGIN", _SCANNING)
        else:
            self._writer = _postgresql_engine(self.url)
            self._reader = self._writer.execution_options(
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
        with translated():
            pooled = self._reader.raw_connection()
        connection = pooled.driver_connection
        pooled.detach()
        try:
            yield connection
        except self._reader.dialect.loaded_dbapi.Error as error:
            raise DatabaseUnavailable(reason(error)) from error
        finally:
            pooled.close()

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
        return parsed.set(drivername="sqlite+pysqlite")
    if backend in ("postgresql", "postgres"):
        if "@" in (parsed.host or ""):
            # What the rest of the password is taken for would be told as the server's name.
            raise DatabaseMisconfigured("OPS_DATABASE_URL: write an @ in the password as %40")
        return parsed.set(drivername="postgresql+psycopg")
    raise DatabaseMisconfigured(
        f"OPS_DATABASE_URL: {backend} is not supported; use sqlite:///… or postgresql://…"
    )


@contextmanager
def _hold_file(engine: Engine, task: str) -> Iterator[bool]:
    with Path(f"{engine.url.database}.{task}-lock").open("w") as file:
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


def _sqlite_engine(url: URL, begin: str, pragmas: Sequence[str]) -> Engine:
    # The driver's own implicit transactions are switched off (isolation_level None): they begin late and
    # deferred, and a deferred transaction that turns into a writer fails at once when another writes.
    engine = create_engine(
        url,
        module=sqlite,
        connect_args={
            "isolation_level": None,
            "check_same_thread": False,
            "timeout": BUSY_TIMEOUT_MS / 1000,
        },
        pool_size=8,
        max_overflow=8,
        pool_timeout=10,
    )
    event.listen(engine, "connect", _prepare_sqlite(pragmas))

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _prepare_sqlite(pragmas: Sequence[str]) -> Callable[[Any, Any], None]:
    """Set the pragmas on each new connection; those that safety rests on are read back, for SQLite ignores
    what it cannot do."""

    def prepare(connection: Any, _record: Any) -> None:
        _require_safe_sqlite()
        require_sqlite_file(connection)
        for name, wanted in _PRAGMAS.items():
            connection.execute(f"PRAGMA {name} = {wanted}").fetchall()
            (got,) = connection.execute(f"PRAGMA {name}").fetchone()
            if got != wanted:
                raise DatabaseMisconfigured(
                    f"SQLite keeps {name} at {got} instead of {wanted}; put the database on a local disk"
                )
        for pragma in pragmas:
            connection.execute(pragma).fetchall()

    return prepare


def _require_safe_sqlite() -> None:
    version = sqlite.sqlite_version_info
    if not any(
        version >= fixed and (version[:2] == fixed[:2] or fixed is _SAFE_SQLITE[0]) for fixed in _SAFE_SQLITE
    ):
        raise DatabaseMisconfigured(
            f"SQLite {sqlite.sqlite_version} can corrupt a WAL database; install pysqlite3 0.6.1 or later"
        )


def _postgresql_engine(url: URL) -> Engine:
    return create_engine(
        url,
        pool_size=8,
        max_overflow=8,
        pool_timeout=10,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 5,
            "application_name": "ops-service",
            "options": f"-c lock_timeout={BUSY_TIMEOUT_MS}",
        },
    )
