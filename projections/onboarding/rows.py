"""A session's row: the fold's state in the columns of `onboard_sessions`, and back. Pure."""

from typing import Any, Final, NamedTuple

from portal_hooks.contract import STAGE_INDEX
from projections.database.tables import onboard_sessions
from projections.onboarding.fold import Session

COLUMNS: Final = tuple(column.name for column in onboard_sessions.columns)

Row = tuple[Any, ...]


def to_row(session: Session) -> Row:
    """The session's row, in the table's column order."""
    return (
        session.session_id,
        session.source,
        session.domain,
        session.current_stage,
        session.furthest_stage,
        session.infra_status,
        session.failed_at,
        session.failure_step,
        session.failure_code,
        session.failure_reason,
        session.failure_count,
        session.event_count,
        session.first_event_at,
        session.last_event_at,
        *session.reached,
    )


def from_row(row: Row) -> Session:
    """The state that `to_row` wrote. `current_stage` follows from the rest and is not read."""
    session_id, source, domain, _current_stage, furthest_stage, infra_status = row[:6]
    failed_at, step, code, reason, failures, events, first_event_at, last_event_at, *reached = row[6:]
    return Session(
        session_id,
        source,
        domain,
        STAGE_INDEX[furthest_stage] if furthest_stage is not None else -1,
        infra_status,
        failed_at,
        step,
        code,
        reason,
        failures,
        events,
        first_event_at,
        last_event_at,
        reached,
    )


class Change(NamedTuple):
    """A session's state before and after; `before` is None when it had no row."""

    before: Session | None
    after: Session
