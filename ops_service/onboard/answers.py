"""What is answered about sessions and the funnel, for the JSON answers, the desk and the CSV files."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection

from ops_service import cursors
from ops_service.onboard import funnel, past, queries, timeline
from ops_service.onboard.queries import Filters, Place, SessionRow
from ops_service.onboard.questions import FunnelQuestion
from ops_service.onboard.timeline import Told
from ops_service.problems import Problem
from portal_hooks.contract import STAGES
from portal_hooks.instants import HOUR
from projections import log, onboarding
from projections.canonical_json import canonical_json
from projections.onboarding import Session, effective_at


def funnel_of(connection: Connection, asked: FunnelQuestion) -> dict[str, Any]:
    """The answer for `FunnelBody`, but for the time it was made."""
    found = _funnel_now(connection, asked) if asked.as_of is None else _funnel_then(connection, asked)
    since, until = asked.window.since, asked.window.until if asked.window.until is not None else asked.now
    return {
        "window": {"since": since, "until": until, "hours": round((until - since) / HOUR, 3)},
        "as_of": asked.as_of,
        **found,
    }


def session_body(row: SessionRow, stalled_before: int) -> dict[str, Any]:
    """A session for `SessionBody`."""
    session = row.session
    return {
        "session_id": session.session_id,
        "domain": session.domain,
        "source": session.source,
        "current_stage": session.current_stage,
        "furthest_stage": session.furthest_stage,
        "infra_status": session.infra_status,
        "failed_at": session.failed_at,
        "failure": _failure(session),
        "reached": dict(zip(STAGES, session.reached, strict=True)),
        "first_event_at": session.first_event_at if session.event_count else None,
        "last_event_at": session.last_event_at if session.event_count else None,
        "event_count": session.event_count,
        "stalled": funnel.state_of(session.current_stage, session.last_event_at, stalled_before) == "stalled",
        "stale": row.stale,
        "ticket_id": row.ticket_id,
    }


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
        "events": [timeline_event(item, details[item.event.position], max_data_bytes) for item in page],
        "next_cursor": cursors.encode(keys[start + limit - 1]) if more else None,
    }


def unknown_session() -> Problem:
    """404 for a session no event told of."""
    return Problem(404, "No event of this session has come.")


def timeline_event(told: Told, details: Any, max_data_bytes: int | None = None) -> dict[str, Any]:
    """An event for `TimelineEvent`; `data` over the limit is cut to the fields that fit."""
    data = msgspec.json.decode(details.payload).get("data")
    shown = data if max_data_bytes is None or data is None else cut(data, max_data_bytes)
    return {
        "event_id": told.event.event_id,
        "position": told.event.position,
        "event_type": told.event.event_type,
        "created_at": details.occurred_at,
        "received_at": details.received_at,
        "stage": told.stage,
        "effect": told.effect,
        "clock_skew": is_skewed(details.occurred_at, details.received_at),
        "data": shown,
        "data_truncated": shown is not data,
    }


def is_skewed(occurred_at: int, received_at: int) -> bool:
    """True when the event claims a time too far ahead of its receipt."""
    return effective_at(occurred_at, received_at) != occurred_at


def cut(data: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    """`data` itself when it fits; else its fields, in order, each that fits beside those before it."""
    if _size(data) <= max_bytes:
        return data
    kept: dict[str, Any] = {}
    left = max_bytes - 2
    for key, value in data.items():
        size = _size({key: value})
        if size <= left:
            kept[key] = value
            left -= size
    return kept


def _size(value: Any) -> int:
    return len(canonical_json(value).encode())


def _failure(session: Session) -> dict[str, str | None] | None:
    failure = {"step": session.failure_step, "code": session.failure_code, "reason": session.failure_reason}
    return failure if session.failed_at is not None or any(failure.values()) else None


def _funnel_now(connection: Connection, asked: FunnelQuestion) -> dict[str, Any]:
    counted = funnel.count(queries.funnel_rows(connection, asked.window), asked.stalled_before)
    filters = Filters(states=("active", "stalled"), since=asked.window.since, until=asked.window.until)
    active = queries.list_sessions(connection, filters, asked.stalled_before, Place(), queries.ACTIVE_SHOWN)
    codes = queries.failure_codes(connection, asked.window)
    return _answer(asked, counted, log.head(connection), codes, active)


def _funnel_then(connection: Connection, asked: FunnelQuestion) -> dict[str, Any]:
    known = [
        session
        for session in past.sessions_as_of(connection, asked.window, asked.now)
        if session.current_stage is not None
    ]
    counted = funnel.count(map(_funnel_row, known), asked.stalled_before)
    active = [SessionRow(session, None, False) for session in funnel.newest_open(known, queries.ACTIVE_SHOWN)]
    position = past.position_as_of(connection, asked.now)
    return _answer(asked, counted, position, funnel.open_failures(known), active)


def _answer(
    asked: FunnelQuestion,
    counted: funnel.Funnel,
    position: int,
    codes: dict[str | None, int],
    active: Iterable[SessionRow],
) -> dict[str, Any]:
    return {
        **counted._asdict(),
        "position": position,
        "failures": funnel.failures(codes),
        "active_sessions": [session_body(row, asked.stalled_before) for row in active],
    }


def _funnel_row(session: Session) -> funnel.FunnelRow:
    return funnel.FunnelRow(
        session.last_event_at, session.current_stage or "", session.furthest_stage, tuple(session.reached)
    )
