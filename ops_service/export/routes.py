"""GET …/funnel.csv, …/sessions.csv, …/events.csv, …/tickets.csv: each with the filters of its JSON answer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from ops_service.auth.guard import Reader, guarded_router
from ops_service.events.parameters import AskedEvents, event_body
from ops_service.export import csv_file
from ops_service.funnel.parameters import AskedFunnel
from ops_service.funnel.reading import funnel_of
from ops_service.http.parameters import DatabaseOf
from ops_service.http.problems import responses
from ops_service.sessions import answers
from ops_service.sessions.parameters import AskedSessions, SessionsQuestion
from ops_service.sessions.standing import list_key
from ops_service.tickets import reading as tickets
from ops_service.tickets.answers import ticket_body
from ops_service.tickets.parameters import AskedTickets
from portal_hooks.contract import STAGES
from portal_hooks.instants import format_instant

_ANSWERS: Final = {
    200: {"description": "A CSV file.", "content": {"text/csv": {"schema": {"type": "string"}}}},
    **responses(401, 403, 422, 503),
}

router = guarded_router(
    "/api/v1",
    "export",
    responses=_ANSWERS,
    default_response_class=StreamingResponse,
)

_REACHED: Final = [f"reached_{stage}" for stage in STAGES]
_INSTANTS: Final = {
    *_REACHED,
    *"since until as_of first_event_at last_event_at failed_at stage_since".split(),
    *"occurred_at effective_at received_at created_at updated_at".split(),
}
FUNNEL: Final = (
    "since until as_of stage reached conversion_from_start conversion_from_previous"
    " failed active stalled median_seconds p90_seconds"
).split()
SESSIONS: Final = (
    "session_id domain source current_stage furthest_stage infra_status stalled stale"
    " failed_at failure_step failure_code failure_reason first_event_at last_event_at event_count ticket_id"
).split() + _REACHED
EVENTS: Final = (
    "position source event_id event_type session_id domain occurred_at effective_at received_at clock_skew"
).split()
TICKETS: Final = (
    "id session_id domain status assignee tags"
    " current_stage stage_since stalled last_event_at created_at updated_at"
).split()


@router.get("/onboard/funnel.csv")
def export_funnel(database: DatabaseOf, _reader: Reader, asked: AskedFunnel) -> StreamingResponse:
    """The funnel's table, a row per stage."""
    with database.read() as connection:
        found = funnel_of(connection, asked)
    rows = [{**asdict(step), **found["window"], "as_of": found["as_of"]} for step in found["steps"]]
    return csv_file.answer("funnel", csv_file.write(FUNNEL, _cells(FUNNEL, iter(rows))))


@router.get("/onboard/sessions.csv")
def export_sessions(database: DatabaseOf, _reader: Reader, asked: AskedSessions) -> StreamingResponse:
    """All sessions that match, in the list's order."""
    with database.read() as connection:
        if asked.as_of is None:
            csv_file.require_few(asked.total_now(connection))
        file = csv_file.write(SESSIONS, _cells(SESSIONS, _sessions(connection, asked)))
    return csv_file.answer("sessions", file)


@router.get("/events.csv")
def export_events(database: DatabaseOf, _reader: Reader, asked: AskedEvents) -> StreamingResponse:
    """All events that match, in the list's order, without their payloads."""
    with database.read() as connection:
        csv_file.require_few(asked.total(connection))
        pages = _pages(lambda last: asked.page(connection, last and last["position"], csv_file.CHUNK))
        file = csv_file.write(EVENTS, _cells(EVENTS, map(event_body, pages)))
    return csv_file.answer("events", file)


@router.get("/desk/tickets.csv")
def export_tickets(database: DatabaseOf, _reader: Reader, filters: AskedTickets) -> StreamingResponse:
    """All tickets that match, newest first."""
    with database.read() as connection:
        csv_file.require_few(tickets.count_tickets(connection, filters))
        pages = _pages(
            lambda last: tickets.list_tickets(connection, filters, last and last.row.id, csv_file.CHUNK)
        )
        bodies = (ticket_body(ticket, filters.stalled_before) for ticket in pages)
        rows = ({**body, "tags": " ".join(body["tags"])} for body in bodies)
        file = csv_file.write(TICKETS, _cells(TICKETS, rows))
    return csv_file.answer("tickets", file)


def _sessions(connection: Connection, asked: SessionsQuestion) -> Iterator[dict[str, Any]]:
    # A past list is folded as a whole anyway: reading it in parts would fold it again for each.
    chunk = csv_file.CHUNK if asked.as_of is None else csv_file.MAX_ROWS + 1

    def page(last: Any) -> Sequence[Any]:
        return asked.page(connection, last and list_key(last.session), chunk)

    for row in _pages(page):
        body = answers.session_body(row, asked.stalled_before)
        reached = {f"reached_{stage}": at for stage, at in body["reached"].items()}
        failure = {f"failure_{name}": value for name, value in (body["failure"] or {}).items()}
        yield {**body, **reached, **failure}


def _pages(read: Callable[[Any], Sequence[Any]]) -> Iterator[Any]:
    """All rows, page after page; `read` is given the last row of the page before."""
    last = None
    while page := read(last):
        yield from page
        last = page[-1]


def _cells(columns: Sequence[str], rows: Iterator[dict[str, Any]]) -> Iterator[list[Any]]:
    for row in rows:
        yield [_shown(name, row.get(name)) for name in columns]


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return format_instant(value) if name in _INSTANTS and value is not None else value
