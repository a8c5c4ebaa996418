"""GET /api/v1/events: the log itself, in position order."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel
from sqlalchemy import func, select

from ops_service.auth.guard import DatabaseOf, GuardedRoute, Reader
from ops_service.onboard.answers import is_skewed
from ops_service.onboard.windows import Instant, Since, Until
from ops_service.problems import Problem, responses
from projections.log import LOG

router = APIRouter(
    prefix="/api/v1/events",
    tags=["events"],
    responses=responses(401, 403, 422, 503),
    route_class=GuardedRoute,
)

MAX_POSITION = 2**63 - 1

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
    """A page of the log. `next_cursor` is the `after` of the next page; `total` is one session's."""

    total: int | None
    events: list[EventBody]
    next_cursor: str | None


@router.get("")
def list_events(
    database: DatabaseOf,
    _reader: Reader,
    session_id: Name = None,
    event_type: Name = None,
    source: Name = None,
    since: Since = None,
    until: Until = None,
    after: Annotated[int | None, Query(ge=0, le=MAX_POSITION, description="Past this position.")] = None,
    order: Annotated[Literal["asc", "desc"], Query(description="`desc`: newest first.")] = "asc",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> EventList:
    """Events in position order; `since` and `until` are on the instant they count at."""
    equal = {LOG.session_id: session_id, LOG.event_type: event_type, LOG.source: source}
    where = [column == value for column, value in equal.items() if value is not None]
    if since is not None:
        where.append(LOG.effective_at >= since)
    if until is not None:
        where.append(LOG.effective_at < until)
    page = select(*_COLUMNS).where(*where).order_by(LOG.position.desc() if order == "desc" else LOG.position)
    if after is not None:
        page = page.where(LOG.position < after if order == "desc" else LOG.position > after)
    with database.read() as connection:
        # Counting is cheap within a session only; the whole log's size is nobody's question here.
        count = select(func.count()).select_from(LOG.position.table).where(*where)
        total = connection.execute(count).scalar_one() if session_id is not None else None
        rows = connection.execute(page.limit(limit + 1)).mappings().all()
    cursor = str(rows[limit - 1]["position"]) if len(rows) > limit else None
    return EventList.model_validate(
        {"total": total, "events": [_body(row) for row in rows[:limit]], "next_cursor": cursor}
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
    return WholeEvent.model_validate({**_body(row), "payload": msgspec.json.decode(row["payload"])})


def _body(row: Any) -> dict[str, Any]:
    return {**row, "clock_skew": is_skewed(row["occurred_at"], row["received_at"])}
