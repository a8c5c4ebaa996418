"""Deliveries as the projector takes them, with every instant chosen by the test."""

from typing import Any

from sqlalchemy import Connection, delete, select

from portal_hooks.instants import MINUTE, format_instant
from projections.database.database import Database
from projections.database.tables import (
    funnel_daily,
    onboard_sessions,
    quarantined_events,
    ticket_events,
    ticket_tags,
    tickets,
    webhook_events,
)
from projections.envelope import Appended, Delivery, effective_at, parse_envelope
from projections.log import Receipt
from projections.onboarding.events import Event, to_event
from projections.onboarding.projector import project

START = 1_780_920_000 * 1_000_000
"""2026-06-08T12:00:00Z in microseconds."""

_READ_MODELS = (onboard_sessions, funnel_daily, quarantined_events, ticket_events, ticket_tags, tickets)


def delivery(
    event_type: str,
    session_id: str = "s1",
    minute: float = 0,
    *,
    event_id: str | None = None,
    source: str = "portal",
    received: float | None = None,
    **fields: Any,
) -> Delivery:
    """An event that occurred `minute` minutes after START, received at that instant unless told otherwise."""
    occurred_at = START + round(minute * MINUTE)
    received_at = occurred_at if received is None else START + round(received * MINUTE)
    value = {
        "event_id": event_id or f"{event_type}:{session_id}:{minute}".replace(".", "-"),
        "event_type": event_type,
        "session_id": session_id,
        "occurred_at": format_instant(occurred_at),
        **fields,
    }
    return Delivery(source, received_at, parse_envelope(value))


def logged(sent: Delivery, position: int = 1) -> Event:
    """The delivery as the fold reads it from the log."""
    at = effective_at(sent.envelope.occurred_at, sent.received_at)
    return to_event(Appended(position, sent, at))


def store(database: Database, *deliveries: Delivery) -> list[Receipt]:
    """Append and project the deliveries in one transaction."""
    with database.write() as connection:
        return project(connection, deliveries)


def session_rows(database: Database) -> list[dict[str, Any]]:
    """All rows of onboard_sessions, in id order."""
    with database.read() as connection:
        query = select(onboard_sessions).order_by(onboard_sessions.c.session_id)
        return [dict(row) for row in connection.execute(query).mappings()]


def session_row(database: Database, session_id: str = "s1") -> dict[str, Any]:
    """The row of one session, which must be there."""
    [row] = [row for row in session_rows(database) if row["session_id"] == session_id]
    return row


def wipe(connection: Connection) -> None:
    """Empty the log and every read model."""
    for table in (webhook_events, *_READ_MODELS):
        connection.execute(delete(table))
