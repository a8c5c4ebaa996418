"""The answers about sessions and the funnel."""

from typing import Any, Literal

from pydantic import BaseModel

from ops_service.http.parameters import Instant
from ops_service.sessions.timeline import SetBy
from projections.onboarding.fold import Effect


class Failure(BaseModel):
    """Why a session failed, as the portal said it."""

    step: str | None
    code: str | None
    reason: str | None


class SessionBody(BaseModel):
    """A session's row."""

    session_id: str
    domain: str | None
    source: str
    current_stage: str | None
    furthest_stage: str | None
    infra_status: str | None
    failed_at: Instant | None
    failure: Failure | None
    reached: dict[str, Instant | None]
    first_event_at: Instant | None
    last_event_at: Instant | None
    event_count: int
    stalled: bool
    stale: bool
    """True while an event of this session is quarantined."""
    ticket_id: int | None


class SessionList(BaseModel):
    """A page of sessions, newest activity first; `total` counts all pages."""

    total: int
    sessions: list[SessionBody]
    next_cursor: str | None


class TimelineEvent(BaseModel):
    """An event in its session's story; `created_at` is when it occurred."""

    event_id: str
    position: int
    event_type: str
    created_at: Instant
    received_at: Instant
    stage: str | None
    effect: Literal[Effect, "quarantined"]
    clock_skew: bool
    data: dict[str, Any] | None
    data_truncated: bool = False


class TimelineBody(BaseModel):
    """A page of a session's events in sort order."""

    session_id: str
    domain: str | None
    current_stage: str | None
    infra_status: str | None
    total: int
    events: list[TimelineEvent]
    next_cursor: str | None


class Explanation(BaseModel):
    """For each field of the row, the event that set it; null for what was never set."""

    session_id: str
    fields: dict[str, SetBy | None]
