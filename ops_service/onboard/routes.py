"""GET /api/v1/onboard/…: the funnel, the sessions, their timelines."""

from bisect import bisect_right
from typing import Annotated, Any

from fastapi import Path, Query, Request
from sqlalchemy import Connection

from ops_service import cursors
from ops_service.auth.guard import DatabaseOf, Reader, guarded_router
from ops_service.onboard import answers, past, queries, schemas, timeline
from ops_service.onboard.funnel import list_key
from ops_service.onboard.questions import AskedFunnel, AskedSessions, funnel_of, stalled_after
from ops_service.onboard.windows import Instant
from ops_service.problems import Problem, responses
from portal_hooks.instants import now_instant
from projections import onboarding

router = guarded_router("/api/v1/onboard", "onboard")

SessionId = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_:\-]+$")]


@router.get("/funnel")
def read_funnel(database: DatabaseOf, _reader: Reader, asked: AskedFunnel) -> schemas.FunnelBody:
    """How far sessions with activity in the window have come, and where the open ones stand."""
    generated_at = now_instant()
    with database.read() as connection:
        found = funnel_of(connection, asked)
    return schemas.FunnelBody.model_validate({**found, "generated_at": generated_at})


@router.get("/sessions")
def list_sessions(
    database: DatabaseOf,
    _reader: Reader,
    asked: AskedSessions,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> schemas.SessionList:
    """The sessions behind any number of the funnel, newest activity first."""
    after = tuple(cursors.decode(cursor, int, str)) if cursor else None
    with database.read() as connection:
        total, rows = asked.find(connection, after, limit + 1)
    shown, next_cursor = cursors.cut(rows, limit, lambda row: list_key(row.session))
    return schemas.SessionList.model_validate(
        {
            "total": total,
            "sessions": [answers.session_body(row, asked.stalled_before) for row in shown],
            "next_cursor": next_cursor,
        }
    )


@router.get("/sessions/{session_id}", responses=responses(404))
def read_session(
    request: Request,
    database: DatabaseOf,
    _reader: Reader,
    session_id: SessionId,
    as_of: Annotated[Instant | None, Query(description="As it was known at this instant.")] = None,
    position: Annotated[int | None, Query(ge=0, le=2**63 - 1, description="As of this log position.")] = None,
) -> schemas.SessionBody:
    """One session's row, now or folded from what the log held at a past moment."""
    with database.read() as connection:
        row = queries.find_session(connection, session_id)
        if as_of is not None or position is not None:
            row = past.session_then(connection, session_id, as_of, position)
    if row is None:
        raise unknown_session()
    now = as_of if as_of is not None else now_instant()
    return schemas.SessionBody.model_validate(answers.session_body(row, now - stalled_after(request)))


@router.get("/sessions/{session_id}/timeline", responses=responses(404))
def read_timeline(
    database: DatabaseOf,
    _reader: Reader,
    session_id: SessionId,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    cursor: str | None = None,
) -> schemas.TimelineBody:
    """The session's events in sort order, each with what it did."""
    with database.read() as connection:
        body = timeline_body(connection, session_id, limit, cursor)
    return schemas.TimelineBody.model_validate(body)


@router.get("/sessions/{session_id}/explain", responses=responses(404))
def explain_session(database: DatabaseOf, _reader: Reader, session_id: SessionId) -> schemas.Explanation:
    """Which event set each field of the session's row."""
    with database.read() as connection:
        events, quarantined = queries.history(connection, session_id)
    if not events:
        raise unknown_session()
    fields = timeline.explain(session_id, events, quarantined)
    return schemas.Explanation(session_id=session_id, fields=fields)


def timeline_body(
    connection: Connection, session_id: str, limit: int, cursor: str | None, max_data_bytes: int | None = None
) -> dict[str, Any]:
    """A page of a session's timeline. Raises Problem 404, or 422 for a cursor that is none."""
    events, quarantined = queries.history(connection, session_id)
    if not events:
        raise unknown_session()
    session, told = timeline.tell(session_id, events, quarantined)
    keys = [onboarding.sort_key(item.event) for item in told]
    start = bisect_right(keys, tuple(cursors.decode(cursor, int, int, str, str))) if cursor else 0
    page = told[start : start + limit]
    details = queries.event_details(connection, [item.event.position for item in page])
    more = start + limit < len(told)
    return {
        "session_id": session_id,
        "domain": session.domain,
        "current_stage": session.current_stage,
        "infra_status": session.infra_status,
        "total": len(told),
        "events": [
            answers.timeline_event(item, details[item.event.position], max_data_bytes) for item in page
        ],
        "next_cursor": cursors.encode(keys[start + limit - 1]) if more else None,
    }


def unknown_session() -> Problem:
    """404 for a session no event told of."""
    return Problem(404, "No event of this session has come.")
