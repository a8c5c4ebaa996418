"""What the desk's routes take and answer."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from ops_service.http.parameters import Instant, PrintableName, StrictBody
from ops_service.sessions.schemas import SessionBody, TimelineBody

Status = Literal["open", "in_progress", "resolved", "closed"]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9_\-]+$")]
NoteText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000, pattern=r"^[^\x00]+$"),
]


class TicketBody(BaseModel):
    """A ticket in a list. `version` is also its ETag."""

    id: int
    session_id: str
    domain: str | None
    status: Status
    assignee: str | None
    tags: list[str]
    current_stage: str | None
    stage_since: Instant | None
    """When the session came to its current stage, or failed."""
    stalled: bool
    last_event_at: Instant | None
    version: int
    created_at: Instant
    updated_at: Instant


class TicketList(BaseModel):
    """A page of tickets, newest first; `total` counts all pages."""

    total: int
    tickets: list[TicketBody]
    next_cursor: str | None


class NoteBody(BaseModel):
    """A note of an operator (`note`), of the system, or a record of a change."""

    id: int
    kind: Literal["note", "system", "change"]
    author: str
    body: str
    created_at: Instant


class TicketDetail(TicketBody):
    """A ticket with its session, the session's timeline and its notes, oldest first."""

    session: SessionBody
    timeline: TimelineBody
    notes: list[NoteBody]


class TicketChange(StrictBody):
    """What to change; what is left out stays. A null assignee sets the ticket free."""

    status: Status | None = None
    assignee: PrintableName | None = None
    tags: Annotated[list[Tag], Field(max_length=20)] | None = None


class NewNote(StrictBody):
    """A note to add."""

    body: NoteText
