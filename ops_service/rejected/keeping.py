"""Correctly signed deliveries that were refused: kept, cut to a size, so that none vanishes."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select

from portal_hooks.signing import Verified
from projections.database.tables import rejected_deliveries

KEPT_BODY_BYTES: Final = 4_096
KEPT_ROWS: Final = 10_000
"""The oldest beyond this many are dropped: a broken portal must not fill the disk."""


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
    rows = [
        {
            "source": verified.source,
            "webhook_id": verified.webhook_id,
            "received_at": received_at,
            "status": rejection.status,
            "detail": rejection.detail,
            "body": rejection.body[:KEPT_BODY_BYTES],
            "body_bytes": len(rejection.body),
        }
        for rejection in rejections
    ]
    connection.execute(insert(rejected_deliveries), rows)
    newest = select(func.max(rejected_deliveries.c.id)).scalar_subquery()
    connection.execute(delete(rejected_deliveries).where(rejected_deliveries.c.id <= newest - KEPT_ROWS))
