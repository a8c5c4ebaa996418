"""Correctly signed deliveries that were refused: kept, cut to a size, so that none vanishes."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select

from portal_hooks.signing import Verified
from projections.database.tables import rejected_deliveries

KEPT_BODY_BYTES: Final = 4_096
KEPT_ROWS: Final = 10_000
"""Of each source; its oldest beyond are dropped. A broken portal must neither fill the disk nor push out what
is kept of another."""

ROW: Final = rejected_deliveries.c


class Rejection(NamedTuple):
    """Why a delivery, or one item of a batch, was refused."""

    status: int
    detail: str
    body: bytes
    """The delivery's, or the item as canonical JSON."""


def record(
    connection: Connection, verified: Verified, received_at: int, rejections: Sequence[Rejection]
) -> None:
    """Keep the refused delivery, a row for each of its rejections, inside the caller's write transaction."""
    of_source = ROW.source == verified.source
    newest = connection.execute(select(func.max(ROW.ordinal)).where(of_source)).scalar() or 0
    rows = [
        {
            "source": verified.source,
            "ordinal": ordinal,
            "webhook_id": verified.webhook_id,
            "received_at": received_at,
            "status": rejection.status,
            "detail": rejection.detail,
            "body": rejection.body[:KEPT_BODY_BYTES],
            "body_bytes": len(rejection.body),
        }
        for ordinal, rejection in enumerate(rejections, newest + 1)
    ]
    connection.execute(insert(rejected_deliveries), rows)
    outdated = ROW.ordinal <= newest + len(rows) - KEPT_ROWS
    connection.execute(delete(rejected_deliveries).where(of_source, outdated))
