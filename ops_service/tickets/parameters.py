"""Which tickets are asked for, read once for the JSON answer and the CSV file."""

from typing import Annotated

from fastapi import Depends, Query

from ops_service.http.parameters import Now, Text
from ops_service.sessions.parameters import CurrentStage, StalledAfter, States
from ops_service.tickets import reading, schemas


def ticket_filters(
    now: Now,
    stalled_after: StalledAfter,
    status: schemas.Status | None = None,
    stage: CurrentStage | None = None,
    state: States = None,
    tag: Text = None,
    assignee: Annotated[Text, Query(description="Empty: tickets that nobody has.")] = None,
    q: Annotated[Text, Query(description="Part of a session id or domain.")] = None,
) -> reading.Filters:
    """The filters asked for."""
    return reading.Filters(status, stage, tag, assignee, q, state or (), now - stalled_after)


AskedTickets = Annotated[reading.Filters, Depends(ticket_filters)]
