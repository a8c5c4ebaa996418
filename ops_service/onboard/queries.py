"""What the funnel and the session lists read. Each funnel number and its list use the same conditions."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, exists, false, func, or_, select, tuple_

from ops_service.onboard.funnel import FunnelRow
from ops_service.onboard.windows import Window
from portal_hooks.contract import FAILED_STAGE, STAGES
from projections import sessions
from projections.log import LOG, sessions_events
from projections.onboarding import Event, Session
from projections.quarantine import fold_tolerantly
from projections.tables import REACHED, onboard_sessions, quarantined_events, tickets

ROW: Final = onboard_sessions.c
COMPLETED: Final = STAGES[-1]
ACTIVE_SHOWN: Final = 50

_FUNNEL_COLUMNS: Final = (
    ROW.last_event_at,
    ROW.current_stage,
    ROW.furthest_stage,
    *(ROW[name] for name in REACHED),
)
_AS_OF_CHUNK: Final = 500


class Filters(NamedTuple):
    """Which sessions; everything that is None or empty filters nothing."""

    stage: str | None = None
    states: Sequence[str] = ()
    furthest: str | None = None
    reached: str | None = None
    failure_code: str | None = None
    domain: str | None = None
    q: str | None = None
    since: int | None = None
    until: int | None = None


class SessionRow(NamedTuple):
    """A session's state with what lies beside it."""

    session: Session
    ticket_id: int | None
    stale: bool


def funnel_rows(connection: Connection, window: Window) -> Iterator[FunnelRow]:
    """The funnel's population in the window, read from one index."""
    query = select(*_FUNNEL_COLUMNS).where(_in_window(window), ROW.current_stage.is_not(None))
    for last_event_at, current, furthest, *reached in connection.execute(query):
        yield FunnelRow(last_event_at, current, furthest, tuple(reached))


def failure_codes(connection: Connection, window: Window) -> dict[str | None, int]:
    """The codes of the open failures, counted."""
    query = (
        select(ROW.failure_code, func.count())
        .where(_in_window(window), ROW.current_stage == FAILED_STAGE)
        .group_by(ROW.failure_code)
    )
    return dict(connection.execute(query).all())


def sessions_as_of(connection: Connection, window: Window, as_of: int) -> list[Session]:
    """The window's sessions as they were known at `as_of`, folded from the events received by then."""
    # Activity only ever moves forward: who was in the window then has activity after its start today.
    query = select(ROW.session_id).where(ROW.last_event_at >= window.since)
    session_ids = connection.execute(query).scalars().all()
    known = []
    for start in range(0, len(session_ids), _AS_OF_CHUNK):
        some = session_ids[start : start + _AS_OF_CHUNK]
        for session_id, events in sessions_events(connection, some, received_by=as_of).items():
            session, _ = fold_tolerantly(session_id, events)
            if session.current_stage is not None and _within(window, session.last_event_at):
                known.append(session)
    return known


def position_as_of(connection: Connection, as_of: int) -> int:
    """The last position that had been received at `as_of`."""
    query = select(LOG.position).where(LOG.received_at <= as_of).order_by(LOG.position.desc()).limit(1)
    return connection.execute(query).scalar() or 0


def list_sessions(
    connection: Connection, filters: Filters, stalled_before: int, after: tuple[int, str] | None, limit: int
) -> tuple[int, list[SessionRow]]:
    """How many sessions match in all, and a page of them, newest activity first."""
    where = _conditions(filters, stalled_before)
    total = connection.execute(select(func.count()).select_from(onboard_sessions).where(*where)).scalar_one()
    if after is not None:
        where.append(tuple_(ROW.last_event_at, ROW.session_id) < after)
    query = _with_surroundings().where(*where).order_by(ROW.last_event_at.desc(), ROW.session_id.desc())
    return total, [_session_row(row) for row in connection.execute(query.limit(limit))]


def find_session(connection: Connection, session_id: str) -> SessionRow | None:
    """One session's row; an empty one when all that came of it is quarantined."""
    row = connection.execute(_with_surroundings().where(ROW.session_id == session_id)).one_or_none()
    if row is not None:
        return _session_row(row)
    stale = exists().where(quarantined_events.c.session_id == session_id)
    if connection.execute(select(stale)).scalar():
        return SessionRow(Session(session_id), None, stale=True)
    return None


def session_then(
    connection: Connection, session_id: str, as_of: int | None, position: int | None
) -> SessionRow | None:
    """A session as the log had it at an instant or a position; None when it had nothing of it yet."""
    events = sessions_events(connection, [session_id], received_by=as_of).get(session_id, [])
    known = [event for event in events if position is None or event.position <= position]
    session, failures = fold_tolerantly(session_id, known)
    return SessionRow(session, None, bool(failures)) if session.event_count else None


def history(connection: Connection, session_id: str) -> tuple[list[Event], set[int]]:
    """All events of a session, and which of their positions are quarantined."""
    events = sessions_events(connection, [session_id]).get(session_id, [])
    query = select(quarantined_events.c.position).where(quarantined_events.c.session_id == session_id)
    return events, set(connection.execute(query).scalars())


def event_details(connection: Connection, positions: Iterable[int]) -> dict[int, Any]:
    """Payload and times of the events at these positions."""
    query = select(LOG.position, LOG.occurred_at, LOG.received_at, LOG.payload)
    return {row.position: row for row in connection.execute(query.where(LOG.position.in_(list(positions))))}


def _with_surroundings() -> Any:
    stale = exists().where(quarantined_events.c.session_id == ROW.session_id)
    return select(onboard_sessions, tickets.c.id.label("ticket_id"), stale.label("stale")).join_from(
        onboard_sessions, tickets, tickets.c.session_id == ROW.session_id, isouter=True
    )


def _session_row(row: Any) -> SessionRow:
    return SessionRow(sessions.from_row(row[:-2]), row.ticket_id, bool(row.stale))


def _in_window(window: Window) -> ColumnElement[bool]:
    since = ROW.last_event_at >= window.since
    return since if window.until is None else and_(since, ROW.last_event_at < window.until)


def _within(window: Window, instant: int) -> bool:
    return instant >= window.since and (window.until is None or instant < window.until)


def _conditions(filters: Filters, stalled_before: int) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if filters.stage:
        where.append(ROW.current_stage == filters.stage)
    if filters.states:
        where.append(or_(false(), *(_state(state, stalled_before) for state in filters.states)))
    if filters.furthest:
        where.append(_furthest_in((filters.furthest,)))
    if filters.reached:
        where.append(_furthest_in(STAGES[STAGES.index(filters.reached) :]))
    if filters.failure_code is not None:
        code = filters.failure_code or None
        where.append(and_(ROW.current_stage == FAILED_STAGE, ROW.failure_code.is_not_distinct_from(code)))
    if filters.domain:
        where.append(ROW.domain == filters.domain)
    if filters.q:
        where.append(or_(contains(ROW.session_id, filters.q), contains(ROW.domain, filters.q)))
    if filters.since is not None:
        where.append(ROW.last_event_at >= filters.since)
    if filters.until is not None:
        where.append(ROW.last_event_at < filters.until)
    return where


def contains(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """True where the text is a part of the column's, in any case of letters, on both databases."""
    return func.lower(column).contains(text.lower(), autoescape=True)


def _state(state: str, stalled_before: int) -> ColumnElement[bool]:
    if state in (COMPLETED, FAILED_STAGE):
        return ROW.current_stage == state
    in_progress = ROW.current_stage.in_(STAGES[:-1])
    idle = ROW.last_event_at < stalled_before
    return and_(in_progress, idle if state == "stalled" else ~idle)


def _furthest_in(stages: Sequence[str]) -> ColumnElement[bool]:
    """A session known only by a failure counts as started."""
    listed = ROW.furthest_stage.in_(stages)
    if STAGES[0] not in stages:
        return listed
    return or_(listed, and_(ROW.furthest_stage.is_(None), ROW.current_stage == FAILED_STAGE))
