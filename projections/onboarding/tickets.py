"""What a session's state means for its ticket.

A ticket exists when its session created an account or ever failed, and is ready for Ops when the session is
completed. Only that is derived; status, assignee, tags and notes are the operators' and stay untouched.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from sqlalchemy import Connection, case, false, or_, select, true

from portal_hooks.contract import ACCOUNT_CREATED, STAGE_INDEX, STAGE_OF, STAGES
from projections.database.bulk import run_many, select_in
from projections.database.tables import REACHED, onboard_sessions, tickets
from projections.onboarding.fold import Session
from projections.onboarding.process import LAST_STAGE
from projections.onboarding.rows import Change

READY_TAG: Final = "ready_for_ops"
READY_NOTE: Final = "Onboarding completed: the account is ready for Ops."

_ACCOUNT: Final = STAGE_INDEX[STAGE_OF[ACCOUNT_CREATED]]

_EXISTING: Final = "SELECT session_id, ready_for_ops FROM tickets WHERE session_id IN ({})"
_OPEN: Final = (
    "INSERT INTO tickets (session_id, ready_for_ops, status, version, created_at, updated_at)"
    " VALUES (?, ?, 'open', 1, ?, ?)"
)
_SET_READY: Final = (
    "UPDATE tickets SET ready_for_ops = ?, version = version + 1, updated_at = ? WHERE session_id = ?"
)
_NOTE: Final = (
    "INSERT INTO ticket_events (ticket_id, kind, author, body, created_at)"
    " SELECT id, 'system', 'system', ?, ? FROM tickets WHERE session_id = ?"
)


class TicketNeed(NamedTuple):
    """The derived part of a ticket."""

    exists: bool
    ready: bool


def need(session: Session) -> TicketNeed:
    """What the session's state asks of its ticket."""
    completed = session.furthest == LAST_STAGE
    exists = session.failure_count > 0 or session.reached[_ACCOUNT] is not None
    return TicketNeed(exists, exists and completed)


def follow(connection: Connection, changes: Iterable[Change], now: int) -> None:
    """Bring the tickets of changed sessions in step, inside the caller's write transaction."""
    readiness = {}
    for before, after in changes:
        wanted = need(after)
        if wanted.exists and (before is None or wanted != need(before)):
            readiness[after.session_id] = wanted.ready
    settle(connection, readiness, now)


def settle(connection: Connection, readiness: Mapping[str, bool], now: int) -> None:
    """Give each session of `readiness` its ticket, ready for Ops or not.

    Makes missing tickets; never removes one, for operators may have worked on it.
    """
    if not readiness:
        return
    existing = {key: bool(ready) for key, ready in select_in(connection, _EXISTING, list(readiness))}
    ordered = sorted(readiness.items())
    missing = [(key, ready, now, now) for key, ready in ordered if key not in existing]
    changed = [(ready, now, key) for key, ready in ordered if key in existing and existing[key] != ready]
    became_ready = [(READY_NOTE, now, key) for key, ready in ordered if ready and not existing.get(key)]
    run_many(connection, _OPEN, missing)
    run_many(connection, _SET_READY, changed)
    run_many(connection, _NOTE, became_ready)


def out_of_step(connection: Connection, after: str = "", limit: int | None = None) -> dict[str, bool]:
    """The sessions whose ticket's derived part is not what their row asks, with the readiness they ask.

    In id order, those past `after`, at most `limit`.
    """
    row = onboard_sessions.c
    needed = or_(row.failure_count > 0, row[REACHED[_ACCOUNT]].is_not(None))
    ready = case((row.furthest_stage == STAGES[LAST_STAGE], true()), else_=false())
    query = (
        select(row.session_id, ready)
        .join_from(
            onboard_sessions,
            tickets,
            tickets.c.session_id == row.session_id,
            isouter=True,
        )
        .where(row.session_id > after, needed, or_(tickets.c.id.is_(None), tickets.c.ready_for_ops != ready))
        .order_by(row.session_id)
        .limit(limit)
    )
    return {session_id: bool(is_ready) for session_id, is_ready in connection.execute(query)}
