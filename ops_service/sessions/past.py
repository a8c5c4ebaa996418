"""What was known at a past instant: sessions folded from the events that had been received by then."""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, select

from ops_service.http.windows import Window
from ops_service.sessions.reading import ROW, Filters, Place, SessionRow, spellings
from ops_service.sessions.standing import list_key, state_of
from portal_hooks.contract import FAILED_STAGE, STAGES
from portal_hooks.instants import EARLIEST
from projections.envelope import CLOCK_TOLERANCE
from projections.log import LOG
from projections.onboarding.fold import Session, fold_tolerantly
from projections.onboarding.history import sessions_events

_CHUNK: Final = 500


def sessions_as_of(connection: Connection, window: Window, as_of: int) -> list[Session]:
    """The window's sessions as they were known at `as_of`."""
    # Activity only ever moves forward, beginnings back: who was in the window then has activity after its
    # start today, and began before its end and before all that could not be known yet.
    end = as_of + CLOCK_TOLERANCE if window.until is None else min(as_of + CLOCK_TOLERANCE, window.until)
    query = select(ROW.session_id).where(ROW.last_event_at >= window.since, ROW.first_event_at <= end)
    session_ids = connection.execute(query).scalars().all()
    known = []
    for start in range(0, len(session_ids), _CHUNK):
        some = session_ids[start : start + _CHUNK]
        for session_id, events in sessions_events(connection, some, received_by=as_of).items():
            session, _ = fold_tolerantly(session_id, events)
            if session.event_count and _is_in(window, session.last_event_at):
                known.append(session)
    return known


def list_sessions(
    connection: Connection, filters: Filters, stalled_before: int, as_of: int, place: Place
) -> tuple[int, list[SessionRow]]:
    """How many sessions matched at `as_of` in all, and those after `place`; `filters.since` bounds the work.

    Tickets know no past.
    """
    window = Window(EARLIEST if filters.since is None else filters.since, filters.until)
    matching = [
        session
        for session in sessions_as_of(connection, window, as_of)
        if all(_conditions(session, filters, stalled_before))
    ]
    matching.sort(key=list_key, reverse=place.newest_first)
    page = [session for session in matching if _is_past(list_key(session), place)]
    return len(matching), [SessionRow(session, None, False) for session in page]


def position_as_of(connection: Connection, as_of: int) -> int:
    """The last position that had been received at `as_of`."""
    query = select(LOG.position).where(LOG.received_at <= as_of).order_by(LOG.position.desc()).limit(1)
    return connection.execute(query).scalar() or 0


def session_then(
    connection: Connection, session_id: str, as_of: int | None, position: int | None
) -> SessionRow | None:
    """A session as the log had it at an instant or a position; None when it had nothing of it yet."""
    events = sessions_events(connection, [session_id], received_by=as_of).get(session_id, [])
    known = [event for event in events if position is None or event.position <= position]
    session, failures = fold_tolerantly(session_id, known)
    return SessionRow(session, None, bool(failures)) if session.event_count else None


def _conditions(session: Session, filters: Filters, stalled_before: int) -> Iterator[bool]:
    """The same conditions as those of the live list, which are SQL."""
    wanted = filters
    state = state_of(session.current_stage, session.last_event_at, stalled_before)
    yield not wanted.stage or session.current_stage == wanted.stage
    yield not wanted.states or state in wanted.states
    yield not wanted.furthest or _furthest(session) == STAGES.index(wanted.furthest)
    yield not wanted.reached or _furthest(session) >= STAGES.index(wanted.reached)
    if wanted.failure_code is not None:
        yield session.current_stage == FAILED_STAGE
        yield (session.failure_code or "") == wanted.failure_code
    yield not wanted.domain or session.domain == wanted.domain
    if wanted.q:
        searched = f"{session.session_id}\n{session.domain or ''}".lower()
        yield any(text in searched for text in spellings(wanted.q))
    yield wanted.began_since is None or session.first_event_at >= wanted.began_since
    yield wanted.began_until is None or session.first_event_at < wanted.began_until


def _furthest(session: Session) -> int:
    """Index of the furthest stage, -1 for none; a session known only by a failure counts as started."""
    only_failed = session.furthest < 0 and session.current_stage == FAILED_STAGE
    return 0 if only_failed else session.furthest


def _is_past(key: tuple[int, str], place: Place) -> bool:
    if place.after is None:
        return True
    return key < place.after if place.newest_first else key > place.after


def _is_in(window: Window, instant: int) -> bool:
    return instant >= window.since and (window.until is None or instant < window.until)
