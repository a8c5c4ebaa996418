"""The log as the oracle reads it, and the oracle's rows beside the stored ones."""

from typing import Any

import msgspec
from sqlalchemy import select

from projections.database.database import Database
from projections.database.tables import webhook_events
from tests.property.histories import expected_rows
from tests.property.oracle import OracleEvent


def logged_history(database: Database, leaving_out: frozenset[int] = frozenset()) -> list[OracleEvent]:
    """All events of the log but those at the given positions."""
    with database.read() as connection:
        rows = connection.execute(select(webhook_events).order_by(webhook_events.c.position)).mappings().all()
    return [_event(dict(row)) for row in rows if row["position"] not in leaving_out]


def oracle_rows(database: Database, leaving_out: frozenset[int] = frozenset()) -> list[dict[str, Any]]:
    """What the oracle makes of the log, as rows of onboard_sessions in id order."""
    return expected_rows(logged_history(database, leaving_out))


def _event(row: dict[str, Any]) -> OracleEvent:
    same = ("event_id", "event_type", "session_id", "source", "occurred_at", "received_at", "domain")
    return {name: row[name] for name in same} | {"data": msgspec.json.decode(row["payload"]).get("data")}
