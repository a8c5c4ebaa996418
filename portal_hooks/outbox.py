"""The transactional outbox, for portals with an SQL database: the event exists if the business change does.

`insert_event` writes a row in the caller's transaction; `Relay` moves committed rows into the spool, which
takes over. A relay that dies in between moves a row again: Ops recognises the event by its id.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from portal_hooks.event_encoding import EncodedEvent
from portal_hooks.file_lock import FileLock
from portal_hooks.log_once import LogOnce
from portal_hooks.spool import Spool

TABLE: Final = "onboard_outbox"

# The names SQLAlchemy and the drivers' modules go by. On MySQL `id` is BIGINT AUTO_INCREMENT PRIMARY KEY.
TABLE_DEFINITION: Final = {
    "sqlite": (
        f"CREATE TABLE {TABLE} (id INTEGER PRIMARY KEY AUTOINCREMENT, event_id VARCHAR(128) NOT NULL, "
        "session_id VARCHAR(128) NOT NULL, body TEXT NOT NULL)"
    ),
    "postgresql": (
        f"CREATE TABLE {TABLE} (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
        "event_id VARCHAR(128) NOT NULL, session_id VARCHAR(128) NOT NULL, body TEXT NOT NULL)"
    ),
}
"""What a portal's migration has to create."""

RELAY_SECONDS: Final = 0.5
RELAY_ROWS: Final = 500
AWAY_SECONDS: Final = 5.0
"""The pause after the database could not be used."""
_LOCK: Final = "relay.lock"
_PLACEHOLDERS: Final = {
    "qmark": "?",
    "format": "%s",
    "pyformat": "%s",
    "numeric": ":{}",
    "numeric_dollar": "${}",
}
_ABORTING_DRIVERS: Final = frozenset({"psycopg", "psycopg2", "pg8000"})
_SAVEPOINT: Final = "onboard_outbox_event"


class _Database(NamedTuple):
    """What is to be known of somebody else's connection."""

    execute: Callable[[str, tuple[Any, ...]], Any]
    placeholder: str
    aborts_on_error: bool
    """A failed statement spoils the whole transaction, as it does in PostgreSQL."""

    def placeholders(self, count: int) -> str:
        return ", ".join(self.placeholder.format(number + 1) for number in range(count))


def insert_event(connection: Any, event: EncodedEvent) -> None:
    """Write the event's row in the connection's transaction, which stays usable when that fails.

    Raises what the driver raises, and TypeError for something that is no connection.
    """
    database = _database_of(connection)
    sql = f"INSERT INTO {TABLE} (event_id, session_id, body) VALUES ({database.placeholders(3)})"  # noqa: S608 - a constant name
    values = (event.event_id, event.session_id, event.body.decode())
    with _savepoint(database) if database.aborts_on_error else contextlib.nullcontext():
        database.execute(sql, values)


class Relay:
    """Moves rows from the table to the spool, in the order of their ids, in a thread of its own.

    On one host one relay works at a time; on several hosts they may move a row twice, never lose one.
    """

    def __init__(self, connect: Callable[[], Any], spool: Spool) -> None:
        self._connect = connect
        self._spool = spool
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ops-hooks-relay", daemon=True)
        self._log = LogOnce(logging.getLogger(__name__))
        self._lock = FileLock(spool.folder / _LOCK)

    def start(self) -> None:
        """Begin to move rows."""
        self._thread.start()

    def close(self) -> None:
        """Stop soon; rows that are left stay in the table."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                with contextlib.closing(self._connect()) as connection:
                    self._move_until_closed(connection)
            except Exception as error:  # a dead thread would leave every later row where it is
                self._log.error("relay", "events cannot be moved out of %s: %r", TABLE, error)
                self._closing.wait(AWAY_SECONDS)
        self._lock.release()

    def _move_until_closed(self, connection: Any) -> None:
        while not self._closing.is_set():
            moved = move_rows(connection, self._spool) if self._lock.acquire() else 0
            self._log.over("relay", "events move out of %s again", TABLE)
            if moved < RELAY_ROWS:
                self._closing.wait(RELAY_SECONDS)


def move_rows(connection: Any, spool: Spool) -> int:
    """Move up to RELAY_ROWS rows and commit; how many. Raises what the driver raises, and OSError."""
    database = _database_of(connection)
    cursor = database.execute(
        f"SELECT id, event_id, session_id, body FROM {TABLE} ORDER BY id LIMIT {RELAY_ROWS}",  # noqa: S608 - constants
        (),
    )
    rows = cursor.fetchall()
    for _, event_id, session_id, body in rows:
        spool.append(event_id, session_id, body.encode())
    if rows:
        # Before the rows are gone: from here on the spool alone has the events.
        spool.sync(even_if_clean=True)
        for identity, *_ in rows:
            database.execute(f"DELETE FROM {TABLE} WHERE id = {database.placeholders(1)}", (identity,))  # noqa: S608
    connection.commit()
    return len(rows)


def _database_of(connection: Any) -> _Database:
    if inspect.iscoroutinefunction(getattr(connection, "commit", None)):
        raise TypeError(f"{_name_of(connection)} is asynchronous; with SQLAlchemy use its run_sync")
    if hasattr(connection, "get_bind") and hasattr(connection, "connection"):  # an SQLAlchemy Session
        connection = connection.connection()
    if hasattr(connection, "exec_driver_sql"):  # an SQLAlchemy Connection
        dialect = connection.dialect
        return _Database(
            connection.exec_driver_sql, _PLACEHOLDERS[dialect.paramstyle], dialect.name == "postgresql"
        )
    if hasattr(connection, "ensure_connection"):  # Django's, which opens the driver's when it is needed
        connection.ensure_connection()
        connection = connection.connection
    driver = _driver_of(connection)

    def execute(sql: str, values: tuple[Any, ...]) -> Any:
        cursor = connection.cursor()
        cursor.execute(sql, values)
        return cursor

    return _Database(execute, _PLACEHOLDERS[driver.paramstyle], driver.__name__ in _ABORTING_DRIVERS)


def _driver_of(connection: Any) -> Any:
    """The DB-API module of a connection, of a subclass of one, and of a wrapper that passes for one."""
    pooled = getattr(connection, "dbapi_connection", connection)  # of an SQLAlchemy engine's raw_connection()
    for kind in pooled.__class__.__mro__:
        for name in itertools.accumulate(kind.__module__.split("."), "{}.{}".format):
            module = sys.modules.get(name)
            if hasattr(module, "paramstyle"):
                return module
    raise TypeError(f"{_name_of(connection)} is no connection of a known driver; pass the driver's own")


def _name_of(connection: object) -> str:
    kind = type(connection)
    return f"{kind.__module__}.{kind.__qualname__}"


@contextlib.contextmanager
def _savepoint(database: _Database) -> Iterator[None]:
    try:
        database.execute(f"SAVEPOINT {_SAVEPOINT}", ())
    except Exception:
        # Refused outside of a transaction, where nothing can be spoilt; in a lost one the caller's statement
        # fails too. No flag tells: a connection in autocommit may be in a transaction begun by hand.
        yield
        return
    try:
        yield
    except Exception:
        database.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}", ())
        raise
    database.execute(f"RELEASE SAVEPOINT {_SAVEPOINT}", ())
