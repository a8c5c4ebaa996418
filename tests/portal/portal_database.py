"""The database of a portal's own, with the outbox's table in it."""

from collections.abc import Callable
from typing import Any

from portal_hooks.outbox import TABLE

Connect = Callable[[], Any]
"""Opens a DB-API connection."""


def outbox_rows(connect: Connect) -> list[str]:
    """The ids of the events whose rows are committed, oldest first."""
    connection = connect()
    ids = [row[0] for row in connection.execute(f"SELECT event_id FROM {TABLE} ORDER BY id").fetchall()]
    connection.close()
    return ids


class TracedConnection:
    """A connection as tracing wraps it: it passes for what it wraps, as wrapt's proxies do."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._connection)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
