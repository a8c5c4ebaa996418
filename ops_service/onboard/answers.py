"""Session rows and events as the API shows them. Pure."""

from typing import Any

import msgspec

from ops_service.onboard.funnel import state_of
from ops_service.onboard.queries import SessionRow
from ops_service.onboard.timeline import Told
from portal_hooks.contract import STAGES
from projections.canonical_json import canonical_json
from projections.onboarding import Session, effective_at


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
        "stalled": state_of(session.current_stage, session.last_event_at, stalled_before) == "stalled",
        "stale": row.stale,
        "ticket_id": row.ticket_id,
    }


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
    """`data` itself when it fits; else its fields, in order, as long as they fit."""
    if _size(data) <= max_bytes:
        return data
    kept: dict[str, Any] = {}
    left = max_bytes - 2
    for key, value in data.items():
        left -= _size({key: value})
        if left >= 0:
            kept[key] = value
    return kept


def _size(value: Any) -> int:
    return len(canonical_json(value).encode())


def _failure(session: Session) -> dict[str, str | None] | None:
    failure = {"step": session.failure_step, "code": session.failure_code, "reason": session.failure_reason}
    return failure if session.failed_at is not None or any(failure.values()) else None
