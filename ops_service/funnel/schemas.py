"""The funnel's answer."""

from pydantic import BaseModel

from ops_service.funnel.counting import Step
from ops_service.http.parameters import Instant


class ActiveSession(BaseModel):
    """A session in progress."""

    session_id: str
    domain: str | None
    current_stage: str
    infra_status: str | None
    first_event_at: Instant
    last_event_at: Instant
    event_count: int
    stalled: bool
    ticket_id: int | None


class WindowBody(BaseModel):
    """The window that was counted."""

    since: Instant
    until: Instant
    hours: float


class FailureCount(BaseModel):
    """Open failures of one code; null where the portal gave none."""

    code: str | None
    count: int


class FunnelBody(BaseModel):
    """total = stages.completed + the steps' failed, active and stalled."""

    window: WindowBody
    as_of: Instant | None
    position: int
    generated_at: Instant
    stages: dict[str, int]
    total: int
    steps: list[Step]
    failures: list[FailureCount]
    active_total: int
    active_sessions: list[ActiveSession]
