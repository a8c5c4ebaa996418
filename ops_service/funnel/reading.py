"""What the funnel reads and answers, now or as it was known at a past instant."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, select

from ops_service.funnel import counting
from ops_service.funnel.counting import FunnelRow
from ops_service.funnel.parameters import FunnelQuestion
from ops_service.http.windows import Window
from ops_service.sessions import past, reading
from ops_service.sessions.answers import session_body
from ops_service.sessions.reading import ROW, Filters, Place, SessionRow
from ops_service.sessions.standing import newest_open
from portal_hooks.contract import FAILED_STAGE
from portal_hooks.instants import HOUR
from projections import log
from projections.database.tables import REACHED
from projections.onboarding.fold import Session

ACTIVE_SHOWN: Final = 50

_FUNNEL_COLUMNS: Final = (
    ROW.last_event_at,
    ROW.current_stage,
    ROW.furthest_stage,
    *(ROW[name] for name in REACHED),
)


def funnel_of(connection: Connection, asked: FunnelQuestion) -> dict[str, Any]:
    """The answer for `FunnelBody`, but for the time it was made."""
    found = _funnel_now(connection, asked) if asked.as_of is None else _funnel_then(connection, asked)
    since, until = asked.window.since, asked.window.until if asked.window.until is not None else asked.now
    return {
        "window": {"since": since, "until": until, "hours": round((until - since) / HOUR, 3)},
        "as_of": asked.as_of,
        **found,
    }


def _funnel_now(connection: Connection, asked: FunnelQuestion) -> dict[str, Any]:
    counted = counting.count(funnel_rows(connection, asked.window), asked.stalled_before)
    filters = Filters(states=("active", "stalled"), since=asked.window.since, until=asked.window.until)
    active = reading.list_sessions(connection, filters, asked.stalled_before, Place(), ACTIVE_SHOWN)
    codes = failure_codes(connection, asked.window)
    return _answer(asked, counted, log.head(connection), codes, active)


def _funnel_then(connection: Connection, asked: FunnelQuestion) -> dict[str, Any]:
    known = [
        session
        for session in past.sessions_as_of(connection, asked.window, asked.now)
        if session.current_stage is not None
    ]
    counted = counting.count(map(_funnel_row, known), asked.stalled_before)
    active = [SessionRow(session, None, False) for session in newest_open(known, ACTIVE_SHOWN)]
    position = past.position_as_of(connection, asked.now)
    return _answer(asked, counted, position, counting.open_failures(known), active)


def _answer(
    asked: FunnelQuestion,
    counted: counting.Funnel,
    position: int,
    codes: dict[str | None, int],
    active: Iterable[SessionRow],
) -> dict[str, Any]:
    return {
        **counted._asdict(),
        "position": position,
        "failures": counting.failures(codes),
        "active_sessions": [session_body(row, asked.stalled_before) for row in active],
    }


def _funnel_row(session: Session) -> FunnelRow:
    return FunnelRow(
        session.last_event_at, session.current_stage or "", session.furthest_stage, tuple(session.reached)
    )


def funnel_rows(connection: Connection, window: Window) -> Iterator[FunnelRow]:
    """The funnel's population in the window, read from one index."""
    query = select(*_FUNNEL_COLUMNS).where(_in_window(window), ROW.current_stage.is_not(None))
    for last_event_at, current, furthest, *reached in connection.execute(query):
        yield FunnelRow(last_event_at, current, furthest, tuple(reached))


def failure_codes(connection: Connection, window: Window) -> dict[str | None, int]:
    """The codes of the open failures, counted; an empty one is none."""
    # Not a parameter: PostgreSQL would not know it for the same in both places.
    code = func.nullif(ROW.failure_code, literal_column("''"))
    query = (
        select(code, func.count()).where(_in_window(window), ROW.current_stage == FAILED_STAGE).group_by(code)
    )
    return dict(connection.execute(query).all())


def _in_window(window: Window) -> ColumnElement[bool]:
    since = ROW.last_event_at >= window.since
    return since if window.until is None else and_(since, ROW.last_event_at < window.until)
