"""What the session lists read. Each number of the funnel and its list use the same conditions."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    exists,
    false,
    func,
    or_,
    select,
    tuple_,
)

from ops_service.sessions.standing import COMPLETED
from portal_hooks.contract import FAILED_STAGE, STAGES, normalise_domain
from projections.database.tables import onboard_sessions, quarantined_events, tickets
from projections.log import LOG
from projections.onboarding import rows
from projections.onboarding.events import Event
from projections.onboarding.fold import Session
from projections.onboarding.history import sessions_events

ROW: Final = onboard_sessions.c


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
    began_since: int | None = None
    began_until: int | None = None


class Place(NamedTuple):
    """Where in a list of sessions a page begins: after (last_event_at, session_id), None for its start."""

    after: tuple[int, str] | None = None
    newest_first: bool = True


class SessionRow(NamedTuple):
    """A session's state with what lies beside it."""

    session: Session
    ticket_id: int | None
    stale: bool


def count_sessions(connection: Connection, filters: Filters, stalled_before: int) -> int:
    """How many sessions match."""
    where = _conditions(filters, stalled_before)
    return connection.execute(select(func.count()).select_from(onboard_sessions).where(*where)).scalar_one()


def list_sessions(
    connection: Connection, filters: Filters, stalled_before: int, place: Place, limit: int
) -> list[SessionRow]:
    """A page of the sessions that match, by their last activity."""
    where = _conditions(filters, stalled_before)
    key = tuple_(ROW.last_event_at, ROW.session_id)
    if place.after is not None:
        where.append(key < place.after if place.newest_first else key > place.after)
    columns = (ROW.last_event_at, ROW.session_id)
    order = [column.desc() if place.newest_first else column for column in columns]
    # An index alone tells which they are, mostly; whole rows are read of the page's sessions only.
    page = select(ROW.session_id).where(*where).order_by(*order).limit(limit).correlate(None)
    query = _with_surroundings().where(ROW.session_id.in_(page)).order_by(*order)
    return [_session_row(row) for row in connection.execute(query)]


def find_session(connection: Connection, session_id: str) -> SessionRow | None:
    """One session's row; an empty one when all that came of it is quarantined."""
    row = connection.execute(_with_surroundings().where(ROW.session_id == session_id)).one_or_none()
    if row is not None:
        return _session_row(row)
    stale = exists().where(quarantined_events.c.session_id == session_id)
    if connection.execute(select(stale)).scalar():
        return SessionRow(Session(session_id), None, stale=True)
    return None


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
    return SessionRow(rows.from_row(row[:-2]), row.ticket_id, bool(row.stale))


def _conditions(filters: Filters, stalled_before: int) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if filters.stage:
        where.append(ROW.current_stage == filters.stage)
    if filters.states:
        where.append(in_any_state(filters.states, stalled_before))
    if filters.furthest:
        where.append(_furthest_in((filters.furthest,)))
    if filters.reached:
        where.append(_furthest_in(STAGES[STAGES.index(filters.reached) :]))
    if filters.failure_code is not None:
        code = func.coalesce(ROW.failure_code, "")
        where.append(and_(ROW.current_stage == FAILED_STAGE, code == filters.failure_code))
    if filters.domain:
        where.append(ROW.domain == filters.domain)
    if filters.q:
        where.append(is_found(ROW.session_id, filters.q))
    if filters.since is not None:
        where.append(ROW.last_event_at >= filters.since)
    if filters.until is not None:
        where.append(ROW.last_event_at < filters.until)
    if filters.began_since is not None:
        # No activity is older than the first: the second condition says nothing new, but has an index.
        where += [ROW.first_event_at >= filters.began_since, ROW.last_event_at >= filters.began_since]
    if filters.began_until is not None:
        where.append(ROW.first_event_at < filters.began_until)
    return where


def spellings(q: str) -> list[str]:
    """What a search looks for, in small letters: its text, and that in the form in which domains are kept."""
    return sorted({q.lower(), normalise_domain(q) or q.lower()})


def is_found(session_id: ColumnElement[Any], q: str) -> ColumnElement[bool]:
    """True where the search's text is a part of the session's id or domain, on both databases."""
    return or_(
        *(
            func.lower(column).contains(text, autoescape=True)
            for column in (session_id, ROW.domain)
            for text in spellings(q)
        )
    )


def in_any_state(states: Sequence[str], stalled_before: int) -> ColumnElement[bool]:
    """True for the rows that are active, stalled, failed or completed, whichever are asked for."""
    if {"active", "stalled"} <= set(states):
        # Told to take them apart by their idleness, SQLite searches twice and sorts whole rows.
        ended = [stage for stage in (COMPLETED, FAILED_STAGE) if stage in states]
        return ROW.current_stage.in_([*STAGES[:-1], *ended])
    return or_(false(), *(_state(state, stalled_before) for state in states))


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
