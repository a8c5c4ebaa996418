"""GET /api/v1/onboard/sessions…: the sessions and their timelines."""

from typing import Annotated

from fastapi import Path, Query

from ops_service.auth.guard import Reader, guarded_router
from ops_service.http import cursors
from ops_service.http.parameters import DatabaseOf, Instant, Limit, Now, Position
from ops_service.http.problems import responses
from ops_service.sessions import answers, past, reading, schemas, timeline
from ops_service.sessions.parameters import AskedSessions, StalledAfter
from ops_service.sessions.standing import list_key

router = guarded_router("/api/v1/onboard", "onboard")

SessionId = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_:\-]+$")]


@router.get("/sessions")
def list_sessions(
    database: DatabaseOf,
    _reader: Reader,
    asked: AskedSessions,
    limit: Limit = 50,
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
    database: DatabaseOf,
    _reader: Reader,
    now: Now,
    stalled_after: StalledAfter,
    session_id: SessionId,
    as_of: Annotated[Instant | None, Query(description="As it was known at this instant.")] = None,
    position: Annotated[Position | None, Query(description="As of this log position.")] = None,
) -> schemas.SessionBody:
    """One session's row, now or folded from what the log held at a past moment."""
    with database.read() as connection:
        if as_of is None and position is None:
            row = reading.find_session(connection, session_id)
        else:
            row = past.session_then(connection, session_id, as_of, position)
    if row is None:
        raise answers.unknown_session()
    seen_at = now if as_of is None else as_of
    return schemas.SessionBody.model_validate(answers.session_body(row, seen_at - stalled_after))


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
        body = answers.timeline_body(connection, session_id, limit, cursor)
    return schemas.TimelineBody.model_validate(body)


@router.get("/sessions/{session_id}/explain", responses=responses(404))
def explain_session(database: DatabaseOf, _reader: Reader, session_id: SessionId) -> schemas.Explanation:
    """Which event set each field of the session's row."""
    with database.read() as connection:
        events, quarantined = reading.history(connection, session_id)
    if not events:
        raise answers.unknown_session()
    fields = timeline.explain(session_id, events, quarantined)
    return schemas.Explanation(session_id=session_id, fields=fields)
