"""GET /api/v1/onboard/…: the funnel, the sessions, their timelines."""

from bisect import bisect_right
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import Connection

from ops_service import cursors
from ops_service.auth.guard import DatabaseOf, GuardedRoute, Reader
from ops_service.onboard import answers, funnel, queries, schemas, timeline
from ops_service.onboard.windows import MAX_HOURS, Instant, Since, Until, Window, window
from ops_service.problems import Problem, responses
from portal_hooks.contract import normalise_domain
from portal_hooks.instants import HOUR, MINUTE, now_instant
from projections import log, onboarding
from projections.onboarding import Session

router = APIRouter(
    prefix="/api/v1/onboard",
    tags=["onboard"],
    responses=responses(401, 403, 422, 503),
    route_class=GuardedRoute,
)

Stage = Literal["started", "domain_validated", "dns_applied", "account_created", "infra_synced", "completed"]
CurrentStage = Literal[Stage, "failed"]
State = Literal["active", "stalled", "failed", "completed"]
Text = Annotated[str | None, Query(max_length=253, pattern=r"^[^\x00]*$")]
FailureCode = Annotated[
    str | None,
    Query(
        max_length=4000, pattern=r"^[^\x00]*$", description="Open failures of this code; empty: of no code."
    ),
]
SessionId = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_:\-]+$")]


@router.get("/funnel")
def read_funnel(
    request: Request,
    database: DatabaseOf,
    _reader: Reader,
    hours: Annotated[float | None, Query(gt=0, le=MAX_HOURS)] = None,
    since: Since = None,
    until: Until = None,
    as_of: Annotated[Instant | None, Query(description="The funnel as it was known at this instant.")] = None,
) -> schemas.FunnelBody:
    """How far sessions with activity in the window have come, and where the open ones stand."""
    generated_at = now_instant()
    now = as_of if as_of is not None else generated_at
    asked = window(hours, since, until, now)
    stalled_before = now - stalled_after(request)
    with database.read() as connection:
        if as_of is None:
            found = _funnel_now(connection, asked, stalled_before)
        else:
            found = _funnel_then(connection, asked, stalled_before, as_of)
    shown_until = asked.until if asked.until is not None else now
    return schemas.FunnelBody.model_validate(
        {
            "window": {
                "since": asked.since,
                "until": shown_until,
                "hours": round((shown_until - asked.since) / HOUR, 3),
            },
            "as_of": as_of,
            "generated_at": generated_at,
            **found,
        }
    )


@router.get("/sessions")
def list_sessions(
    request: Request,
    database: DatabaseOf,
    _reader: Reader,
    stage: CurrentStage | None = None,
    state: Annotated[list[State] | None, Query(description="Any of these; repeat it for several.")] = None,
    furthest: Annotated[Stage | None, Query(description="The furthest stage is this one.")] = None,
    reached: Annotated[
        Stage | None, Query(description="The furthest stage is this one or a later one.")
    ] = None,
    failure_code: FailureCode = None,
    domain: Text = None,
    q: Annotated[Text, Query(description="Part of a session id or domain.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> schemas.SessionList:
    """The sessions behind any number of the funnel, newest activity first."""
    after = tuple(cursors.decode(cursor, int, str)) if cursor else None
    wanted = (normalise_domain(domain) or domain) if domain else None
    filters = queries.Filters(stage, state or (), furthest, reached, failure_code, wanted, q, since, until)
    stalled_before = now_instant() - stalled_after(request)
    with database.read() as connection:
        total, rows = queries.list_sessions(connection, filters, stalled_before, after, limit + 1)
    last = rows[limit - 1].session if len(rows) > limit else None
    return schemas.SessionList.model_validate(
        {
            "total": total,
            "sessions": [answers.session_body(row, stalled_before) for row in rows[:limit]],
            "next_cursor": cursors.encode([last.last_event_at, last.session_id]) if last else None,
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
            row = queries.session_then(connection, session_id, as_of, position)
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
    shown = {name: setting._asdict() if setting else None for name, setting in fields.items()}
    return schemas.Explanation.model_validate({"session_id": session_id, "fields": shown})


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


def stalled_after(request: Request) -> int:
    """Microseconds of idleness after which an open session is stalled."""
    minutes: int = request.app.state.settings.stalled_after_minutes
    return minutes * MINUTE


def unknown_session() -> Problem:
    """404 for a session no event told of."""
    return Problem(404, "No event of this session has come.")


def _funnel_now(connection: Connection, asked: Window, stalled_before: int) -> dict[str, Any]:
    counted = funnel.count(queries.funnel_rows(connection, asked), stalled_before)
    filters = queries.Filters(states=("active", "stalled"), since=asked.since, until=asked.until)
    _, active = queries.list_sessions(connection, filters, stalled_before, None, queries.ACTIVE_SHOWN)
    return {
        **funnel.as_json(counted),
        "position": log.head(connection),
        "failures": funnel.failures(queries.failure_codes(connection, asked)),
        "active_sessions": [answers.session_body(row, stalled_before) for row in active],
    }


def _funnel_then(connection: Connection, asked: Window, stalled_before: int, as_of: int) -> dict[str, Any]:
    known = queries.sessions_as_of(connection, asked, as_of)
    counted = funnel.count(map(_funnel_row, known), stalled_before)
    return {
        **funnel.as_json(counted),
        "position": queries.position_as_of(connection, as_of),
        "failures": funnel.failures(funnel.open_failures(known)),
        "active_sessions": [
            answers.session_body(queries.SessionRow(session, None, False), stalled_before)
            for session in funnel.newest_open(known, queries.ACTIVE_SHOWN)
        ],
    }


def _funnel_row(session: Session) -> funnel.FunnelRow:
    return funnel.FunnelRow(
        session.last_event_at, session.current_stage or "", session.furthest_stage, tuple(session.reached)
    )
