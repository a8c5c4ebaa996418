"""What is answered about sessions, for the JSON answers, the desk and the CSV files."""

from bisect import bisect_right
from typing import Any

import msgspec
from sqlalchemy import Connection

from ops_service.http import cursors
from ops_service.http.problems import Problem
from ops_service.sessions import reading, timeline
from ops_service.sessions.reading import SessionRow
from ops_service.sessions.standing import state_of
from ops_service.sessions.timeline import Told
from portal_hooks.contract import STAGES
from projections.canonical_json import canonical_json
from projections.envelope import effective_at
from projections.onboarding.events import sort_key
from projections.onboarding.fold import Session


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
        "stalled": _is_stalled(session, stalled_before),
        "stale": row.stale,
        "ticket_id": row.ticket_id,
    }


def timeline_body(
    connection: Connection, session_id: str, limit: int, cursor: str | None, max_data_bytes: int | None = None
) -> dict[str, Any]:
    """A page of a session's timeline. Raises Problem 404, or 422 for a cursor that is none."""
    events, quarantined = reading.history(connection, session_id)
    if not events:
        raise unknown_session()
    session, told = timeline.tell(session_id, events, quarantined)
    keys = [sort_key(item.event) for item in told]
    start = bisect_right(keys, tuple(cursors.decode(cursor, int, int, str, str))) if cursor else 0
    page = told[start : start + limit]
    details = reading.event_details(connection, [item.event.position for item in page])
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


def _is_stalled(session: Session, stalled_before: int) -> bool:
    return state_of(session.current_stage, session.last_event_at, stalled_before) == "stalled"
