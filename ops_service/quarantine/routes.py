"""/api/v1/quarantine: events the fold raised on, and folding them again."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel
from sqlalchemy import func, select

from ops_service.audit import log
from ops_service.auth.guard import Editor, Reader, guarded_router
from ops_service.http import cursors
from ops_service.http.parameters import DatabaseOf, Instant, Limit, Now
from ops_service.http.problems import Problem, responses
from projections.database.tables import quarantined_events
from projections.log import LOG
from projections.rebuild.repair import retry_quarantined

router = guarded_router("/api/v1/quarantine", "events")

ROW = quarantined_events.c


class QuarantinedEvent(BaseModel):
    """An event that stays in the log but is left out of its session's row."""

    position: int
    session_id: str
    event_id: str
    event_type: str
    error: str
    quarantined_at: Instant


class QuarantineList(BaseModel):
    """A page, by position; `total` counts all pages."""

    total: int
    events: list[QuarantinedEvent]
    next_cursor: str | None


class Retried(BaseModel):
    """What became of a retry."""

    sessions: int
    still_quarantined: int


@router.get("")
def list_quarantined(
    database: DatabaseOf,
    _reader: Reader,
    limit: Limit = 50,
    cursor: str | None = None,
) -> QuarantineList:
    """Quarantined events with the error of the fold."""
    page = (
        select(quarantined_events, LOG.event_id, LOG.event_type)
        .join(LOG.position.table, LOG.position == ROW.position)
        .order_by(ROW.position)
        .limit(limit + 1)
    )
    if (after := cursors.position(cursor)) is not None:
        page = page.where(ROW.position > after)
    with database.read() as connection:
        total = connection.execute(select(func.count()).select_from(quarantined_events)).scalar_one()
        rows: list[Any] = list(connection.execute(page).mappings())
    shown, next_cursor = cursors.cut(rows, limit, lambda row: [row["position"]])
    return QuarantineList.model_validate({"total": total, "events": shown, "next_cursor": next_cursor})


@router.post("/retry", responses=responses(404))
def retry(
    database: DatabaseOf,
    editor: Editor,
    now: Now,
    session_id: Annotated[str | None, Query(max_length=128, description="Only this session.")] = None,
) -> Retried:
    """Fold the sessions that have quarantined events again, from the log."""
    sessions, failures = retry_quarantined(database, session_id)
    if session_id is not None and not sessions:
        raise Problem(404, "No event of this session is quarantined.")
    result = f"{sessions} sessions folded, {len(failures)} still quarantined"
    with database.write() as connection:
        subject = session_id and f"session {session_id}"
        log.record(connection, editor, "quarantine_retried", now, subject, result)
    return Retried(sessions=sessions, still_quarantined=len(failures))
