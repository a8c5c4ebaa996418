"""Waiting for commits, by whichever process: PostgreSQL tells of them, SQLite is asked.

Says only that something was written; what it was is read from the tables afterwards.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from projections.database.database import COMMITS, Database

POLL_SECONDS: Final = 0.05
"""How often SQLite is asked. `PRAGMA data_version` reads one counter in shared memory."""

Wait = Callable[[float], None]
"""Returns at a commit by another connection, or after so many seconds."""


@contextmanager
def watching(database: Database) -> Iterator[Wait]:
    """Commits from now on, seen over one connection outside the pool. Raises DatabaseUnavailable."""
    with database.apart() as connection:
        yield _asking_sqlite(connection) if database.is_sqlite else _listening(connection)


def _asking_sqlite(connection: Any) -> Wait:
    def version() -> int:
        return int(connection.execute("PRAGMA data_version").fetchone()[0])

    seen = version()

    def wait(seconds: float) -> None:
        nonlocal seen
        deadline = time.monotonic() + seconds
        while (now := version()) == seen and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        seen = now

    return wait


def _listening(connection: Any) -> Wait:
    connection.autocommit = True
    connection.execute(f"LISTEN {COMMITS}")

    def wait(seconds: float) -> None:
        for _ in connection.notifies(timeout=seconds, stop_after=1):
            pass

    return wait
