"""Where a session stands, and how lists of sessions are ordered. Pure."""

from collections.abc import Iterable
from typing import Final

from portal_hooks.contract import FAILED_STAGE, STAGES
from projections.onboarding.fold import Session

COMPLETED: Final = STAGES[-1]


def state_of(current_stage: str | None, last_event_at: int, stalled_before: int) -> str | None:
    """completed, failed, stalled or active; None when no known event has come."""
    if current_stage is None or current_stage in (COMPLETED, FAILED_STAGE):
        return current_stage
    return "stalled" if last_event_at < stalled_before else "active"


def list_key(session: Session) -> tuple[int, str]:
    """What lists of sessions are ordered by, and what their cursors hold."""
    return session.last_event_at, session.session_id


def newest_open(sessions: Iterable[Session], limit: int) -> list[Session]:
    """The sessions in progress, newest activity first."""
    in_progress = [session for session in sessions if session.current_stage in STAGES[:-1]]
    in_progress.sort(key=list_key, reverse=True)
    return in_progress[:limit]
