"""What a session's state means for its ticket.

A ticket exists when its session created an account or ever failed, and is ready for Ops when the session is
completed. Only that is derived; status, assignee, tags and notes are the operators' and stay untouched.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, case, false, insert, or_, select, true, update

from portal_hooks.contract import ACCOUNT_CREATED, STAGES
from projections.onboarding import LAST_STAGE, STAGE_INDEX, Session
from projections.sessions import Change
from projections.tables import onboard_sessions, ticket_events, tickets

READY_TAG: Final = "ready_for_ops"
READY_NOTE: Final = "Onboarding completed: the account is ready for Ops."
SYSTEM: Final = "system"

_ACCOUNT = STAGE_INDEX[ACCOUNT_CREATED]


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
    query = select(tickets.c.id, tickets.c.session_id, tickets.c.ready_for_ops).where(
        tickets.c.session_id.in_(readiness)
    )
    existing = {row.session_id: row for row in connection.execute(query)}
    became_ready = []
    for session_id, ready in sorted(readiness.items()):
        ticket = existing.get(session_id)
        ticket_id = _open(connection, session_id, ready, now) if ticket is None else ticket.id
        if ticket is not None and ticket.ready_for_ops != ready:
            _set_ready(connection, ticket_id, ready, now)
        if ready and (ticket is None or not ticket.ready_for_ops):
            became_ready.append(ticket_id)
    _note_ready(connection, became_ready, now)


def out_of_step(connection: Connection) -> dict[str, bool]:
    """The sessions whose ticket's derived part is not what their row asks, with the readiness they ask."""
    row = onboard_sessions.c
    needed = or_(row.failure_count > 0, row[f"reached_{STAGES[_ACCOUNT]}"].is_not(None))
    ready = case((row.furthest_stage == STAGES[LAST_STAGE], true()), else_=false())
    query = (
        select(row.session_id, ready)
        .join_from(
            onboard_sessions,
            tickets,
            tickets.c.session_id == row.session_id,
            isouter=True,
        )
        .where(
            or_(
                and_(needed, tickets.c.id.is_(None)),
                and_(needed, tickets.c.ready_for_ops != ready),
            )
        )
    )
    return {session_id: bool(is_ready) for session_id, is_ready in connection.execute(query)}


def _open(connection: Connection, session_id: str, ready: bool, now: int) -> int:
    values = {
        "session_id": session_id,
        "ready_for_ops": ready,
        "status": "open",
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    result = connection.execute(insert(tickets).values(values).returning(tickets.c.id))
    return int(result.scalar_one())


def _set_ready(connection: Connection, ticket_id: int, ready: bool, now: int) -> None:
    connection.execute(
        update(tickets)
        .where(tickets.c.id == ticket_id)
        .values(ready_for_ops=ready, version=tickets.c.version + 1, updated_at=now)
    )


def _note_ready(connection: Connection, ticket_ids: Iterable[int], now: int) -> None:
    rows = [
        {
            "ticket_id": ticket_id,
            "kind": "system",
            "author": SYSTEM,
            "body": READY_NOTE,
            "created_at": now,
        }
        for ticket_id in ticket_ids
    ]
    if rows:
        connection.execute(insert(ticket_events), rows)
