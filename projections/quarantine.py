"""Events the fold raises on: kept in the log, listed with their error, left out of their session's row."""

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from projections import onboarding
from projections.onboarding import Event, Session
from projections.tables import quarantined_events

logger = logging.getLogger(__name__)


class Failure(NamedTuple):
    """An event the fold raised on."""

    event: Event
    error: str


def describe(failure: Failure) -> str:
    """Which event the fold raised on, and how."""
    event, error = failure
    return (
        f"the fold raised at event {event.position} ({event.event_type}, id {event.event_id})"
        f" of session {event.session_id}: {error}"
    )


def fold_tolerantly(session_id: str, events: Iterable[Event]) -> tuple[Session, list[Failure]]:
    """The fold of all events that can be folded, and those that cannot."""
    good = sorted(events)
    failures: list[Failure] = []
    while True:
        session = Session(session_id)
        for event in good:
            try:
                onboarding.apply(session, event)
            except Exception as error:
                failures.append(Failure(event, f"{type(error).__name__}: {error}"))
                break
        else:
            return session, failures
        # The state is half changed: begin again without the event that raised.
        good.remove(event)


def positions(connection: Connection) -> set[int]:
    """The positions of all quarantined events: few, while the fold is sound."""
    return set(connection.execute(select(quarantined_events.c.position)).scalars())


def sessions(connection: Connection) -> list[str]:
    """The sessions that have quarantined events."""
    column = quarantined_events.c.session_id
    return list(connection.execute(select(column).distinct().order_by(column)).scalars())


def record(connection: Connection, failures: Iterable[Failure], now: int) -> None:
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
