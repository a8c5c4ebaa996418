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
