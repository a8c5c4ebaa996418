"""GET /api/v1/events: the log itself, in position order."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from fastapi import Depends, Path, Query
from pydantic import BaseModel
from sqlalchemy import ColumnElement, Connection, func, select

from ops_service.auth.guard import DatabaseOf, Reader, guarded_router
from ops_service.onboard.answers import is_skewed
from ops_service.onboard.windows import Instant, Since, Until
from ops_service.problems import Problem, responses
from projections.log import LOG, head

router = guarded_router("/api/v1/events", "events")

MAX_POSITION = 2**63 - 1

LOOKED_THROUGH: Final = 500_000
"""Positions that one page looks through: a filter that hardly anything passes shall not read a whole log."""

Name = Annotated[str | None, Query(max_length=128, pattern=r"^[^\x00]*$")]

_COLUMNS = (
    LOG.position,
    LOG.source,
    LOG.event_id,
    LOG.event_type,
    LOG.session_id,
    LOG.domain,
    LOG.occurred_at,
    LOG.effective_at,
    LOG.received_at,
)


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


class EventsQuestion(NamedTuple):
    """Which events, and in which order of position."""

    session_id: str | None
    where: list[ColumnElement[bool]]
    newest_first: bool

    def total(self, connection: Connection) -> int:
        """How many there are."""
        count = select(func.count()).select_from(LOG.position.table).where(*self.where)
        return connection.execute(count).scalar_one()

    def page(
        self, connection: Connection, after: int | None, limit: int, up_to: int | None = None
    ) -> Sequence[Any]:
        """Those past a position, and not past another, as mappings."""
        order = LOG.position.desc() if self.newest_first else LOG.position
        page = select(*_COLUMNS).where(*self.where).order_by(order).limit(limit)
        if after is not None:
            page = page.where(LOG.position < after if self.newest_first else LOG.position > after)
        if up_to is not None:
            page = page.where(LOG.position >= up_to if self.newest_first else LOG.position <= up_to)
        return connection.execute(page).mappings().all()

    def up_to(self, connection: Connection, after: int | None) -> int | None:
        """The position up to which a page past `after` looks; None when nothing lies beyond it."""
        if self.session_id is not None:  # has an index
            return None
        newest = head(connection)
        if self.newest_first:
            begin = newest + 1 if after is None else min(after, newest + 1)
            return begin - LOOKED_THROUGH if begin - LOOKED_THROUGH > 1 else None
        end = (after or 0) + LOOKED_THROUGH
        return end if end < newest else None


def events_question(
    session_id: Name = None,
    event_type: Name = None,
    source: Name = None,
    since: Since = None,
    until: Until = None,
    order: Annotated[Literal["asc", "desc"], Query(description="`desc`: newest first.")] = "asc",
) -> EventsQuestion:
    """The filters asked for; `since` and `until` are on the instant an event counts at."""
    equal = {LOG.session_id: session_id, LOG.event_type: event_type, LOG.source: source}
    where = [column == value for column, value in equal.items() if value is not None]
    if since is not None:
        where.append(LOG.effective_at >= since)
    if until is not None:
        where.append(LOG.effective_at < until)
    return EventsQuestion(session_id, where, order == "desc")


AskedEvents = Annotated[EventsQuestion, Depends(events_question)]


@router.get("")
def list_events(
    database: DatabaseOf,
    _reader: Reader,
    asked: AskedEvents,
    after: Annotated[int | None, Query(ge=0, le=MAX_POSITION, description="Past this position.")] = None,
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
def read_event(
    database: DatabaseOf, _reader: Reader, position: Annotated[int, Path(ge=0, le=MAX_POSITION)]
) -> WholeEvent:
    """One event with its whole payload."""
    with database.read() as connection:
        query = select(*_COLUMNS, LOG.payload).where(LOG.position == position)
        row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise Problem(404, "The log has no event at this position.")
    return WholeEvent.model_validate({**event_body(row), "payload": msgspec.json.decode(row["payload"])})


def event_body(row: Any) -> dict[str, Any]:
    """An event for `EventBody`."""
    return {**row, "clock_skew": is_skewed(row["occurred_at"], row["received_at"])}
