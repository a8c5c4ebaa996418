"""Tickets: lists, one whole, changes. Operators' facts only; what is derived is the projector's."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    not_,
    select,
    update,
)

from ops_service.sessions.reading import in_any_state, is_found
from portal_hooks.contract import FAILED_STAGE, STAGES
from projections.database.tables import REACHED, onboard_sessions, ticket_events, ticket_tags, tickets
from projections.onboarding.tickets import READY_TAG

TICKET: Final = tickets.c
ROW: Final = onboard_sessions.c

_READY: Final = and_(TICKET.ready_for_ops, not_(TICKET.ready_dismissed))


class Filters(NamedTuple):
    """Which tickets; None filters nothing. An empty `assignee` asks for those that nobody has."""

    status: str | None = None
    stage: str | None = None
    tag: str | None = None
    assignee: str | None = None
    q: str | None = None
    states: Sequence[str] = ()
    stalled_before: int = 0

    @property
    def of_sessions(self) -> bool:
        """True when they ask for something of the session's row."""
        return bool(self.stage or self.states or self.q)


class Ticket(NamedTuple):
    """A ticket's row joined with its session's, and its tags."""

    row: Any
    tags: list[str]


def count_tickets(connection: Connection, filters: Filters) -> int:
    """How many tickets match."""
    counted = _joined() if filters.of_sessions else tickets
    count = select(func.count()).select_from(counted).where(*_conditions(filters))
    return connection.execute(count).scalar_one()


def list_tickets(connection: Connection, filters: Filters, before: int | None, limit: int) -> list[Ticket]:
    """A page of the tickets that match, newest first."""
    where = _conditions(filters)
    if before is not None:
        where.append(TICKET.id < before)
    # Indexes alone tell which they are, mostly; whole rows are read of the page's tickets only.
    page = select(TICKET.id).select_from(_joined()).where(*where).order_by(TICKET.id.desc()).limit(limit)
    query = _select().where(TICKET.id.in_(page.correlate(None))).order_by(TICKET.id.desc())
    return _with_tags(connection, connection.execute(query).all())


def find_ticket(connection: Connection, ticket_id: int) -> Ticket | None:
    """One ticket."""
    found = _with_tags(connection, connection.execute(_select().where(TICKET.id == ticket_id)).all())
    return found[0] if found else None


def notes(connection: Connection, ticket_id: int) -> Sequence[Row[Any]]:
    """Everything written on the ticket, oldest first."""
    query = select(ticket_events).where(ticket_events.c.ticket_id == ticket_id).order_by(ticket_events.c.id)
    return connection.execute(query).all()


def change(
    connection: Connection, ticket: Ticket, changes: dict[str, Any], author: str, now: int
) -> list[str]:
    """Apply an operator's changes and write down who made them; returns what was changed, in words."""
    made = {name: value for name, value in changes.items() if value != _present(ticket, name)}
    if not made:
        return []
    ticket_id = ticket.row.id
    values: dict[str, Any] = {name: made[name] for name in ("status", "assignee") if name in made}
    if "tags" in made:
        _replace_tags(connection, ticket_id, made["tags"])
        if ticket.row.ready_for_ops:
            values["ready_dismissed"] = READY_TAG not in made["tags"]
    touch(connection, ticket_id, now, **values)
    lines = [
        f"{name}: {(', '.join(value) if isinstance(value, list) else value) or '—'}"
        for name, value in made.items()
    ]
    for line in lines:
        add_note(connection, ticket_id, "change", author, line, now)
    return lines


def add_note(connection: Connection, ticket_id: int, kind: str, author: str, body: str, now: int) -> int:
    """Write on the ticket; returns the note's id."""
    row = {"ticket_id": ticket_id, "kind": kind, "author": author, "body": body, "created_at": now}
    result = connection.execute(insert(ticket_events).values(row).returning(ticket_events.c.id))
    return int(result.scalar_one())


def touch(connection: Connection, ticket_id: int, now: int, **values: Any) -> None:
    """Set the values, raising the ticket's version."""
    changed = {**values, "version": TICKET.version + 1, "updated_at": now}
    connection.execute(update(tickets).where(TICKET.id == ticket_id).values(changed))


def _present(ticket: Ticket, name: str) -> Any:
    return ticket.tags if name == "tags" else getattr(ticket.row, name)


def _replace_tags(connection: Connection, ticket_id: int, tags: Iterable[str]) -> None:
    connection.execute(delete(ticket_tags).where(ticket_tags.c.ticket_id == ticket_id))
    rows = [{"ticket_id": ticket_id, "tag": tag} for tag in tags if tag != READY_TAG]
    if rows:
        connection.execute(insert(ticket_tags), rows)


def _joined() -> Any:
    return tickets.outerjoin(onboard_sessions, ROW.session_id == TICKET.session_id)


def _select() -> Any:
    columns = (ROW.domain, ROW.current_stage, ROW.last_event_at, _stage_since(), _READY.label("ready"))
    return select(tickets, *columns).select_from(_joined())


def _stage_since() -> Any:
    """Since when the session stands at its current stage: its failure, or the furthest stage's first time."""
    reached = {stage: ROW[name] for stage, name in zip(STAGES, REACHED, strict=True)}
    return case(
        (ROW.current_stage == FAILED_STAGE, ROW.failed_at), else_=case(reached, value=ROW.furthest_stage)
    ).label("stage_since")


def _with_tags(connection: Connection, rows: Sequence[Any]) -> list[Ticket]:
    tags: dict[int, list[str]] = defaultdict(list)
    query = select(ticket_tags).where(ticket_tags.c.ticket_id.in_([row.id for row in rows]))
    for ticket_id, tag in connection.execute(query):
        tags[ticket_id].append(tag)
    return [Ticket(row, sorted([*tags[row.id], *([READY_TAG] if row.ready else [])])) for row in rows]


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    equal = {
        TICKET.status: filters.status,
        ROW.current_stage: filters.stage,
        TICKET.assignee: filters.assignee or None,
    }
    where: list[ColumnElement[bool]] = [
        column == value for column, value in equal.items() if value is not None
    ]
    if filters.assignee == "":
        where.append(TICKET.assignee.is_(None))
    if filters.states:
        where.append(in_any_state(filters.states, filters.stalled_before))
    if filters.tag is not None:
        tagged = exists().where(ticket_tags.c.ticket_id == TICKET.id, ticket_tags.c.tag == filters.tag)
        where.append(_READY if filters.tag == READY_TAG else tagged)
    if filters.q:
        where.append(is_found(TICKET.session_id, filters.q))
    return where
