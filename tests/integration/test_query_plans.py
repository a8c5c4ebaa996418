"""Where a long history would be felt, SQLite looks into an index and not through the whole table.

PostgreSQL decides by its statistics, which these few rows would not bring to what it does with many.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.event import listen, remove

from ops_service.rejected import keeping
from ops_service.rejected.keeping import Rejection
from ops_service.sessions import reading as sessions
from ops_service.sessions.reading import Place
from ops_service.tickets import reading as tickets
from portal_hooks.signing import Verified
from projections.database.database import Database
from projections.log import sessions_touched

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

BY_POSITION = "SEARCH webhook_events USING INTEGER PRIMARY KEY"
BY_STAGE = "USING COVERING INDEX ix_onboard_sessions_current_stage_last_event_at (current_stage=?"


def listed_sessions(**filters: Any) -> Callable[[Connection], Any]:
    return lambda connection: sessions.list_sessions(connection, sessions.Filters(**filters), 9, Place(), 50)


def listed_tickets(**filters: Any) -> Callable[[Connection], Any]:
    return lambda connection: tickets.list_tickets(connection, tickets.Filters(**filters), None, 50)


@pytest.mark.parametrize(
    ("ask", "step"),
    [
        (lambda connection: sessions_touched(connection, 5), BY_POSITION),
        (listed_sessions(), "SCAN onboard_sessions USING COVERING INDEX ix_onboard_sessions_funnel"),
        (listed_sessions(reached="completed"), "USING COVERING INDEX ix_onboard_sessions_funnel"),
        (listed_sessions(states=["stalled"]), BY_STAGE),
        (listed_sessions(states=["active", "failed", "stalled"], since=5), BY_STAGE),
        (listed_tickets(stage="completed"), BY_STAGE),
        (listed_tickets(states=["failed"]), BY_STAGE),
    ],
    ids=[
        "touched",
        "sessions",
        "reached",
        "stalled",
        "not completed",
        "tickets of a stage",
        "tickets of a state",
    ],
)
def test_the_index_alone_tells_what_is_meant(
    database: Database, ask: Callable[[Connection], Any], step: str
) -> None:
    assert step in plan_of(database, ask)


def test_tickets_are_counted_without_a_look_at_their_sessions(database: Database) -> None:
    assert "onboard_sessions" not in plan_of(
        database, lambda connection: tickets.count_tickets(connection, tickets.Filters(status="open"))
    )


def test_old_refusals_are_found_by_index(database: Database) -> None:
    with database.write() as connection:
        with statements() as asked:
            keeping.record(connection, Verified("portal", "delivery"), 5, [Rejection(422, "", b"")])
        newest, _insert, outdated = (plan_by(connection, *each) for each in asked)
    index = "rejected_deliveries USING {}INDEX ix_rejected_deliveries_source_ordinal (source=?{})"
    assert newest == "SEARCH " + index.format("COVERING ", "")
    assert outdated == "SEARCH " + index.format("", " AND ordinal<?")


def plan_of(database: Database, ask: Callable[[Connection], Any]) -> str:
    """How SQLite goes about the first statement of what is asked."""
    with database.read() as connection:
        with statements() as asked:
            ask(connection)
        return plan_by(connection, *asked[0])


def plan_by(connection: Connection, statement: str, parameters: Any) -> str:
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
    return "\n".join(row.detail for row in plan)


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """What is executed within the block, with its parameters."""
    seen: list[tuple[str, Any]] = []

    def see(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    listen(Engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        remove(Engine, "before_cursor_execute", see)
