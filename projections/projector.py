"""The projector: append events and bring their sessions' rows and tickets up to date, in one transaction.

An event in order is folded into the stored state; a late one has its session refolded from the log. An event
the fold raises on is quarantined: it stays in the log and the session's row is the fold of all others.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from projections import onboarding, sessions, tickets
from projections.log import Delivery, Receipt, append, sessions_events
from projections.onboarding import Event, Session
from projections.tables import quarantined_events

logger = logging.getLogger(__name__)

Histories = dict[str, list[Event]]


class Failure(NamedTuple):
    """An event the fold raised on."""

    event: Event
    error: str


def project(connection: Connection, deliveries: Sequence[Delivery]) -> list[Receipt]:
    """Append the deliveries and project what is new, inside the caller's write transaction.

    Returns a receipt for each delivery, in order.
    """
    receipts, created = append(connection, deliveries)
    if created:
        now = max(delivery.received_at for delivery in deliveries)
        _project(connection, _by_session(created), now)
    return receipts


def refold(connection: Connection, session_ids: Sequence[str], now: int) -> list[Failure]:
    """Fold the sessions anew from the log, retrying what was quarantined. Returns what still fails."""
    connection.execute(delete(quarantined_events).where(quarantined_events.c.session_id.in_(session_ids)))
    before = sessions.load(connection, session_ids)
    needs = {session_id: tickets.need(session) for session_id, session in before.items()}
    folded, failures = _fold_each(sessions_events(connection, session_ids))
    _write(connection, folded, needs, now)
    _quarantine(connection, failures, now)
    return failures


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


def _project(connection: Connection, new: Histories, now: int) -> None:
    before = sessions.load(connection, list(new))
    needs = {session_id: tickets.need(session) for session_id, session in before.items()}
    folded, unfolded = [], []
    for session_id, events in new.items():
        session = before.get(session_id) or Session(session_id)
        if _in_order(session, events) and _apply_all(session, events):
            folded.append(session)
        else:
            unfolded.append(session_id)
    refolded, failures = _fold_each(_without_quarantined(connection, unfolded))
    _write(connection, folded + refolded, needs, now)
    _quarantine(connection, failures, now)


def _in_order(session: Session, events: Iterable[Event]) -> bool:
    """True when all events lie after what is folded. Equal instants are left to the refold's full sort."""
    return session.event_count == 0 or all(event.effective_at > session.last_event_at for event in events)


def _apply_all(session: Session, events: Iterable[Event]) -> bool:
    """Fold the events into the session; False when one raised, and then the session is spoilt."""
    try:
        for event in sorted(events):
            onboarding.apply(session, event)
    except Exception:
        return False
    return True


def _without_quarantined(connection: Connection, session_ids: Sequence[str]) -> Histories:
    if not session_ids:
        return {}
    column = quarantined_events.c
    query = select(column.position).where(column.session_id.in_(session_ids))
    out = set(connection.execute(query).scalars())
    return {
        session_id: [event for event in events if event.position not in out]
        for session_id, events in sessions_events(connection, session_ids).items()
    }


def _fold_each(histories: Histories) -> tuple[list[Session], list[Failure]]:
    folded, failures = [], []
    for session_id, events in histories.items():
        session, failed = fold_tolerantly(session_id, events)
        folded.append(session)
        failures += failed
    return folded, failures


def _write(
    connection: Connection,
    folded: Iterable[Session],
    needs: dict[str, tickets.TicketNeed],
    now: int,
) -> None:
    folded = sorted(folded, key=lambda session: session.session_id)
    sessions.upsert(connection, folded)
    readiness = {}
    for session in folded:
        wanted = tickets.need(session)
        if wanted.exists and wanted != needs.get(session.session_id):
            readiness[session.session_id] = wanted.ready
    tickets.follow(connection, readiness, now)


def _quarantine(connection: Connection, failures: Iterable[Failure], now: int) -> None:
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
        logger.error(
            "event %(position)s of session %(session_id)s is quarantined: %(error)s",
            row,
        )
    if rows:
        connection.execute(insert(quarantined_events), rows)


def _by_session(created: Iterable[Event]) -> Histories:
    grouped: Histories = defaultdict(list)
    for event in created:
        grouped[event.session_id].append(event)
    return grouped
