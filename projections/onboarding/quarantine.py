"""Events the fold raises on: kept in the log, listed with their error, left out of their session's row."""

import logging
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, insert, select

from projections.database.tables import quarantined_events
from projections.onboarding.fold import FoldFailure

logger = logging.getLogger(__name__)


def positions(connection: Connection) -> set[int]:
    """The positions of all quarantined events: few, while the fold is sound."""
    return set(connection.execute(select(quarantined_events.c.position)).scalars())


def sessions(connection: Connection) -> list[str]:
    """The sessions that have quarantined events."""
    column = quarantined_events.c.session_id
    return list(connection.execute(select(column).distinct().order_by(column)).scalars())


def record(connection: Connection, failures: Iterable[FoldFailure], now: int) -> None:
    """List the events as quarantined, inside the caller's write transaction."""
    rows = [
        {
            "position": failure.event.position,
            "session_id": failure.event.session_id,
            "error": failure.error,
            "quarantined_at": now,
        }
        for failure in failures
    ]
    for row in rows:
        logger.error("event %(position)s of session %(session_id)s is quarantined: %(error)s", row)
    if rows:
        connection.execute(insert(quarantined_events), rows)


def release(connection: Connection, session_ids: Sequence[str]) -> None:
    """Forget that the sessions' events were quarantined: they are about to be folded again."""
    column = quarantined_events.c.session_id
    connection.execute(delete(quarantined_events).where(column.in_(session_ids)))
