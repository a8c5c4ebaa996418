"""What is answered about tickets."""

from typing import Any, Final

from sqlalchemy import Connection

from ops_service.sessions.answers import session_body, timeline_body, unknown_session
from ops_service.sessions.reading import find_session
from ops_service.sessions.standing import state_of
from ops_service.tickets import reading
from ops_service.tickets.reading import Ticket

TIMELINE_SHOWN: Final = 200
DATA_SHOWN_BYTES: Final = 2048


def ticket_body(ticket: Ticket, stalled_before: int) -> dict[str, Any]:
    """A ticket for `TicketBody`."""
    row = ticket.row
    state = state_of(row.current_stage, row.last_event_at, stalled_before)
    return {**row._mapping, "tags": ticket.tags, "stalled": state == "stalled"}


def ticket_detail(connection: Connection, ticket: Ticket, stalled_before: int) -> dict[str, Any]:
    """A ticket for `TicketDetail`. Raises Problem 404 when no event of its session has come."""
    session_id = ticket.row.session_id
    session = find_session(connection, session_id)
    if session is None:
        raise unknown_session()
    return {
        **ticket_body(ticket, stalled_before),
        "session": session_body(session, stalled_before),
        "timeline": timeline_body(connection, session_id, TIMELINE_SHOWN, None, DATA_SHOWN_BYTES),
        "notes": [dict(note._mapping) for note in reading.notes(connection, ticket.row.id)],
    }
