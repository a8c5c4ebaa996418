"""GET /api/v1/rejected-deliveries: authenticated deliveries that were refused."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel
from sqlalchemy import func, select

from ops_service.auth.guard import Reader, guarded_router
from ops_service.http import cursors
from ops_service.http.parameters import WITHOUT_NUL, DatabaseOf, Instant
from projections.database.tables import rejected_deliveries

router = guarded_router("/api/v1/rejected-deliveries", "ingress")

ROW = rejected_deliveries.c


class RejectedDelivery(BaseModel):
    """Why a delivery was refused, and the beginning of what it held."""

    id: int
    source: str
    webhook_id: str
    received_at: Instant
    status: int
    detail: str
    body: str
    """Of a batch only the item that was refused, as canonical JSON."""
    body_bytes: int
    """The size of the whole; `body` is cut to 4 KiB."""


class RejectedList(BaseModel):
    """A page, newest first; `total` counts all pages."""

    total: int
    rejected: list[RejectedDelivery]
    next_cursor: str | None


@router.get("")
def list_rejected(
    database: DatabaseOf,
    _reader: Reader,
    source: Annotated[str | None, Query(max_length=64, pattern=WITHOUT_NUL)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> RejectedList:
    """What was refused though its signature was right, newest first."""
    where = [ROW.source == source] if source is not None else []
    page = select(rejected_deliveries).where(*where).order_by(ROW.id.desc()).limit(limit + 1)
    if (before := cursors.position(cursor)) is not None:
        page = page.where(ROW.id < before)
    with database.read() as connection:
        count = select(func.count()).select_from(rejected_deliveries).where(*where)
        total = connection.execute(count).scalar_one()
        rows = connection.execute(page).mappings().all()
    shown, next_cursor = cursors.cut(rows, limit, lambda row: [row["id"]])
    rejected = [{**row, "body": bytes(row["body"]).decode(errors="replace")} for row in shown]
    return RejectedList.model_validate({"total": total, "rejected": rejected, "next_cursor": next_cursor})
