"""Engines for both databases: how a connection is prepared before anything is read or written over it."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from projections.database.errors import DatabaseMisconfigured
from projections.database.sqlite_file import OpenedFile, require_sqlite_file

BUSY_TIMEOUT_MS: Final = 5_000
"""How long a writer waits for its turn."""

WRITING: Final = (
    "PRAGMA cache_size = -32768",
    # A rebuild's largest transaction would leave a write-ahead log of its size behind for good.
    f"PRAGMA journal_size_limit = {64 * 2**20}",
)
READING: Final = ("PRAGMA cache_size = -32768", "PRAGMA query_only = ON")
SCANNING: Final = ("PRAGMA cache_size = -2048", "PRAGMA query_only = ON", f"PRAGMA mmap_size = {2**40}")

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

# A peer that vanished is noticed within half a minute instead of hours, on both sides: a server that lost its
# client frees the write lock, a client that lost its server can try again.
_CONNECTION: Final = {
    "connect_timeout": 5,
    "application_name": "ops-service",
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_BOUNDS: Final = (
    f"-c lock_timeout={BUSY_TIMEOUT_MS}",
    "-c tcp_keepalives_idle=15",
    "-c tcp_keepalives_interval=5",
    "-c tcp_keepalives_count=3",
)


def sqlite_engine(url: URL, file: OpenedFile, begin: str, pragmas: Sequence[str]) -> Engine:
    """Opens each transaction with `begin`, on connections that have had these pragmas. Connecting raises
    DatabaseMisconfigured where SQLite, the file or its disk will not do; beginning raises DatabaseUnfit where
    `file` is no longer the one it was."""
    # The driver's own implicit transactions are switched off (isolation_level None): they begin late and
    # deferred, and a deferred transaction that turns into a writer fails at once when another writes.
    engine = create_engine(
        url,
        module=sqlite,
        hide_parameters=True,
        connect_args={
            "isolation_level": None,
            "check_same_thread": False,
            "timeout": BUSY_TIMEOUT_MS / 1000,
        },
        pool_size=8,
        max_overflow=8,
        pool_timeout=10,
    )
    event.listen(engine, "connect", _prepare_sqlite(file, pragmas))

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        file.require_same()
        connection.exec_driver_sql(begin)

    return engine


def _prepare_sqlite(file: OpenedFile, pragmas: Sequence[str]) -> Callable[[Any, Any], None]:
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
        file.require_same()

    return prepare


def _require_safe_sqlite() -> None:
    version = sqlite.sqlite_version_info
    if not any(
        version >= fixed and (version[:2] == fixed[:2] or fixed is _SAFE_SQLITE[0]) for fixed in _SAFE_SQLITE
    ):
        raise DatabaseMisconfigured(
            f"SQLite {sqlite.sqlite_version} can corrupt a WAL database; install pysqlite3 0.6.1 or later"
        )


def postgresql_engine(url: URL) -> Engine:
    """What the URL says goes before our choices; our bounds join its `options`. Connecting raises
    DatabaseMisconfigured where the database cannot hold every text."""
    given = url.query.get("options", ())
    options = [given] if isinstance(given, str) else [*given]
    engine = create_engine(
        url,
        pool_size=8,
        max_overflow=8,
        pool_timeout=10,
        pool_pre_ping=True,
        hide_parameters=True,  # they are customers' data, and an error's text ends in the log
        connect_args={name: value for name, value in _CONNECTION.items() if name not in url.query}
        | {"options": " ".join([*options, *_BOUNDS])},
    )
    # First of all: SQLAlchemy's own questions to a server would stumble over SQL_ASCII.
    event.listen(engine, "connect", _require_utf8, insert=True)
    return engine


def _require_utf8(connection: Any, _record: Any) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        name = connection.info.dbname
        connection.close()
        raise DatabaseMisconfigured(
            f"the database {name} is encoded in {encoding} and cannot hold every event;"
            " make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
