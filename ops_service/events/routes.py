"""GET /api/v1/events: the log itself, in position order."""

from typing import Annotated, Any

import msgspec
from fastapi import Query
from pydantic import BaseModel
from sqlalchemy import select

from ops_service.auth.guard import Reader, guarded_router
from ops_service.events.parameters import COLUMNS, AskedEvents, event_body
from ops_service.http.parameters import DatabaseOf, Instant, Position
from ops_service.http.problems import Problem, responses
from projections.log import LOG

router = guarded_router("/api/v1/events", "events")


class EventBody(BaseModel):
    """An event's place in the log, without its payload."""

    position: int
    source: str
    event_id: str
    event_type: str
    session_id: str
    domain: str | None
    occurred_at: Instant
    effective_at: Instant
    received_at: Instant
    clock_skew: bool


class WholeEvent(EventBody):
    """An event with its whole payload, unknown keys included."""

    payload: dict[str, Any]


class EventList(BaseModel):
    """A page of the log. `next_cursor` is the `after` of the next page; `total` is one session's.

    Under filters a page may hold few events or none and yet not be the last.
    """

    total: int | None
    events: list[EventBody]
    next_cursor: str | None


@router.get("")
def list_events(
    database: DatabaseOf,
    _reader: Reader,
    asked: AskedEvents,
    after: Annotated[Position | None, Query(description="Past this position.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> EventList:
    """Events in position order."""
    with database.read() as connection:
        # Counting is cheap within a session only; the whole log's size is nobody's question here.
        total = asked.total(connection) if asked.session_id is not None else None
        up_to = asked.up_to(connection, after)
        rows = asked.page(connection, after, limit + 1, up_to)
    last = rows[limit - 1]["position"] if len(rows) > limit else up_to
    cursor = None if last is None else str(last)
    return EventList.model_validate(
        {"total": total, "events": [event_body(row) for row in rows[:limit]], "next_cursor": cursor}
    )


@router.get("/{position}", responses=responses(404))
def read_event(database: DatabaseOf, _reader: Reader, position: Position) -> WholeEvent:
    """One event with its whole payload."""
    with database.read() as connection:
        query = select(*COLUMNS, LOG.payload).where(LOG.position == position)
        row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise Problem(404, "The log has no event at this position.")
    return WholeEvent.model_validate({**event_body(row), "payload": msgspec.json.decode(row["payload"])})
