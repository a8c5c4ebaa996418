"""What is new since a known state of the database: read from its tables, told as messages."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple

import msgspec
from fastapi.sse import format_sse_event
from sqlalchemy import Connection, exists, func, select

from projections.database.tables import (
    audit_log,
    quarantined_events,
    rejected_deliveries,
    ticket_events,
    tickets,
)
from projections.log import LOG, head
from projections.onboarding import state

MOST_EVENTS: Final = 1_000
"""More than so many events at once are not told one by one; a `resync` stands for them."""

_SHOWN_BY_HEALTH: Final = ("rebuilt_at", "verified_at", "quarantined", "rejected")

Why = Literal["start", "gap", "ahead"]


class Message(NamedTuple):
    """One message as it is sent. `position` is its id, None for what is not in the log."""

    position: int | None
    frame: bytes


RECHECK: Final = Message(None, b"")
"""Not sent: somebody may have lost the right to listen."""


class State(NamedTuple):
    """How far everything that can change had come."""

    position: int
    note: int
    """The last id of ticket_events: every change and note by an operator writes one."""
    rebuilt_at: int | None
    verified_at: int | None
    quarantined: tuple[int, int | None]
    """How many, and when the last one was."""
    rejected: int | None
    """The last id of rejected_deliveries."""
    audited: int | None
    """The last id of audit_log: whatever ends a session, a token or a role writes there."""


_ENDS_NO_RIGHT: Final = (
    "link_created",
    "note_added",
    "password_refused",
    "quarantine_retried",
    "sign_in_refused",
    "ticket_changed",
    "token_created",
    "user_created",
    "user_enabled",
)
"""Actions of the audit log after which nobody who listened may listen less. Unknown ones are looked into."""


def state_of(connection: Connection) -> State:
    """The present state."""
    built: Any = state.noted(connection) or {}
    quarantine = select(func.count(), func.max(quarantined_events.c.quarantined_at))
    return State(
        position=head(connection),
        note=connection.execute(select(func.max(ticket_events.c.id))).scalar() or 0,
        rebuilt_at=built.get("rebuilt_at"),
        verified_at=built.get("verified_at"),
        quarantined=tuple(connection.execute(quarantine).one()),
        rejected=connection.execute(select(func.max(rejected_deliveries.c.id))).scalar(),
        audited=connection.execute(select(func.max(audit_log.c.id))).scalar(),
    )


def since(connection: Connection, before: State) -> tuple[State, list[Message]]:
    """The present state, and the messages that lead to it from `before`."""
    after = state_of(connection)
    messages = [*_log_since(connection, before.position, after.position)]
    if after.note != before.note:
        messages += _tickets_since(connection, before.note)
    changed = [name for name in _SHOWN_BY_HEALTH if _differ(name, before, after)]
    if changed:
        messages.append(_message("service", {"changed": [name.removesuffix("_at") for name in changed]}))
    if after.audited != before.audited and _ends_rights(connection, before.audited):
        messages.append(RECHECK)
    return after, messages


def opening(connection: Connection, after: int | None) -> tuple[int, list[Message]]:
    """What a stream begins with, and the log position it has then told of.

    `after` is the last position the client knows, None when it knows none.
    """
    newest = head(connection)
    if after is None:
        return newest, [resync(newest, "start")]
    if after > newest:
        return newest, [resync(newest, "ahead")]
    return newest, _log_since(connection, after, newest)


def resync(position: int, why: Why) -> Message:
    """Tells the client to load anew what it shows; from `position` on it will be told everything again."""
    return _message("resync", {"position": position, "reason": why}, position)


def _ends_rights(connection: Connection, audited: int | None) -> bool:
    """Whether a line of the audit log after that one may have ended somebody's right."""
    since = (audit_log.c.id > (audited or 0), audit_log.c.action.not_in(_ENDS_NO_RIGHT))
    return bool(connection.execute(select(exists().where(*since))).scalar_one())


def _log_since(connection: Connection, after: int, newest: int) -> list[Message]:
    if newest == after:
        return []
    columns = (LOG.position, LOG.event_id, LOG.event_type, LOG.session_id, LOG.domain)
    query = select(*columns).where(LOG.position > after).order_by(LOG.position).limit(MOST_EVENTS + 1)
    rows = connection.execute(query).all()
    if len(rows) > MOST_EVENTS:
        return [resync(newest, "gap")]
    return [_message("event", row._asdict(), row.position) for row in rows]


def _tickets_since(connection: Connection, note: int) -> Iterator[Message]:
    query = (
        select(tickets.c.id.label("ticket_id"), tickets.c.session_id)
        .join(ticket_events, ticket_events.c.ticket_id == tickets.c.id)
        .where(ticket_events.c.id > note)
        .distinct()
        .order_by(tickets.c.id)
        .limit(MOST_EVENTS)
    )
    return (_message("ticket", row._asdict()) for row in connection.execute(query))


def _differ(name: str, before: State, after: State) -> bool:
    return bool(getattr(before, name) != getattr(after, name))


def _message(kind: str, data: dict[str, Any], position: int | None = None) -> Message:
    text = msgspec.json.encode(data).decode()
    identity = None if position is None else str(position)
    return Message(position, format_sse_event(event=kind, data_str=text, id=identity))


def frames(messages: Iterable[Message]) -> bytes:
    """The messages as bytes for the wire."""
    return b"".join(message.frame for message in messages)
