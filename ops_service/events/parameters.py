"""Which events of the log are asked for, read once for the JSON answers and the CSV files."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

from fastapi import Depends, Query
from sqlalchemy import ColumnElement, Connection, func, select

from ops_service.http.parameters import WITHOUT_NUL, Since, Until
from ops_service.http.windows import require_order
from ops_service.sessions.answers import is_skewed
from projections.log import LOG, head

LOOKED_THROUGH: Final = 500_000
"""Positions that one page looks through: a filter that hardly anything passes shall not read a whole log."""

Name = Annotated[str | None, Query(max_length=128, pattern=WITHOUT_NUL)]

COLUMNS = (
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
        page = select(*COLUMNS).where(*self.where).order_by(order).limit(limit)
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
    require_order(since, until)
    equal = {LOG.session_id: session_id, LOG.event_type: event_type, LOG.source: source}
    where = [column == value for column, value in equal.items() if value is not None]
    if since is not None:
        where.append(LOG.effective_at >= since)
    if until is not None:
        where.append(LOG.effective_at < until)
    return EventsQuestion(session_id, where, order == "desc")


AskedEvents = Annotated[EventsQuestion, Depends(events_question)]


def event_body(row: Any) -> dict[str, Any]:
    """An event for `EventBody`."""
    return {**row, "clock_skew": is_skewed(row["occurred_at"], row["received_at"])}
