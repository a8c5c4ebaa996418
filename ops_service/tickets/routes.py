"""/api/v1/desk/tickets: list, one whole with its session's timeline, change, annotate."""

from typing import Annotated, Any

from fastapi import Header, Response
from sqlalchemy import Connection

from ops_service.audit import log
from ops_service.auth.guard import Editor, Reader, guarded_router
from ops_service.http import cursors
from ops_service.http.parameters import DatabaseOf, Id, Limit, Now
from ops_service.http.problems import Problem, responses
from ops_service.sessions.parameters import StalledAfter
from ops_service.tickets import answers, reading, schemas
from ops_service.tickets.parameters import AskedTickets
from ops_service.tickets.reading import Ticket
from portal_hooks.contract import FieldError
from projections.onboarding.tickets import READY_TAG

router = guarded_router("/api/v1/desk/tickets", "desk")

IfMatch = Annotated[str | None, Header(description="The ETag the change is based on.")]


@router.get("")
def list_tickets(
    database: DatabaseOf,
    _reader: Reader,
    filters: AskedTickets,
    limit: Limit = 50,
    cursor: str | None = None,
) -> schemas.TicketList:
    """Tickets, newest first."""
    before = cursors.position(cursor)
    with database.read() as connection:
        total = reading.count_tickets(connection, filters)
        found = reading.list_tickets(connection, filters, before, limit + 1)
    shown, next_cursor = cursors.cut(found, limit, lambda ticket: [ticket.row.id])
    return schemas.TicketList.model_validate(
        {
            "total": total,
            "tickets": [answers.ticket_body(ticket, filters.stalled_before) for ticket in shown],
            "next_cursor": next_cursor,
        }
    )


@router.get("/{ticket_id}", responses=responses(404))
def read_ticket(
    response: Response,
    database: DatabaseOf,
    _reader: Reader,
    now: Now,
    stalled_after: StalledAfter,
    ticket_id: Id,
) -> schemas.TicketDetail:
    """One ticket with its session, timeline and notes."""
    with database.read() as connection:
        return _detail(response, connection, ticket_id, now - stalled_after)


@router.patch("/{ticket_id}", responses=responses(400, 404, 408, 412, 413, 428))
def change_ticket(
    response: Response,
    database: DatabaseOf,
    editor: Editor,
    now: Now,
    stalled_after: StalledAfter,
    ticket_id: Id,
    changes: schemas.TicketChange,
    if_match: IfMatch = None,
) -> schemas.TicketDetail:
    """Change status, assignee or tags, based on the version that `If-Match` names."""
    if if_match is None:
        raise Problem(428, "Send If-Match with the ticket's ETag, so that nobody's change is lost.")
    with database.write() as connection:
        ticket = _find(connection, ticket_id)
        named = {tag.strip() for tag in if_match.split(",")}
        if named.isdisjoint(("*", _etag(ticket.row.version))):
            raise Problem(412, "The ticket was changed meanwhile; read it again and repeat the change.")
        wanted = _wanted(changes)
        if READY_TAG in wanted.get("tags", ()) and not ticket.row.ready_for_ops:
            raise Problem.wrong(
                FieldError("/tags", f"{READY_TAG} comes with the session's completion, not by hand")
            )
        made = reading.change(connection, ticket, wanted, editor.name, now)
        if made:
            log.record(connection, editor, "ticket_changed", now, f"ticket {ticket_id}", "; ".join(made))
        return _detail(response, connection, ticket_id, now - stalled_after)


@router.post("/{ticket_id}/notes", status_code=201, responses=responses(400, 404, 408, 413))
def add_note(
    database: DatabaseOf, editor: Editor, now: Now, ticket_id: Id, note: schemas.NewNote
) -> schemas.NoteBody:
    """Add a note. Two operators' notes do not collide, so no If-Match is needed."""
    with database.write() as connection:
        _find(connection, ticket_id)
        reading.touch(connection, ticket_id, now)
        note_id = reading.add_note(connection, ticket_id, "note", editor.name, note.body, now)
        log.record(connection, editor, "note_added", now, f"ticket {ticket_id}")
    return schemas.NoteBody(id=note_id, kind="note", author=editor.name, body=note.body, created_at=now)


def _detail(
    response: Response, connection: Connection, ticket_id: int, stalled_before: int
) -> schemas.TicketDetail:
    ticket = _find(connection, ticket_id)
    response.headers["ETag"] = _etag(ticket.row.version)
    return schemas.TicketDetail.model_validate(answers.ticket_detail(connection, ticket, stalled_before))


def _find(connection: Connection, ticket_id: int) -> Ticket:
    ticket = reading.find_ticket(connection, ticket_id)
    if ticket is None:
        raise Problem(404, "There is no such ticket.")
    return ticket


def _wanted(changes: schemas.TicketChange) -> dict[str, Any]:
    wanted = changes.model_dump(exclude_unset=True)
    if wanted.get("status", "") is None or wanted.get("tags", "") is None:
        raise Problem(422, "status and tags cannot be null; leave out what should stay.")
    if "tags" in wanted:
        wanted["tags"] = sorted(set(wanted["tags"]))
    return wanted


def _etag(version: int) -> str:
    return f'"{version}"'
