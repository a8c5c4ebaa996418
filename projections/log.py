"""The event log: append without duplicates, read in order."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import Connection, func, select, text

from projections.database.bulk import run_many, select_in
from projections.database.tables import webhook_events
from projections.envelope import Appended, Delivery, effective_at

LOG: Final = webhook_events.c


class SessionRange(NamedTuple):
    """The sessions whose ids lie past `after` up to `last`, or to the end when that is None."""

    after: str
    last: str | None


class Receipt(NamedTuple):
    """What became of a delivery. `position` is the first one's for duplicates and conflicts."""

    status: Literal["created", "duplicate", "conflict"]
    event_id: str
    position: int


_INSERT = (
    "INSERT INTO webhook_events (position, source, event_id, event_type, session_id, occurred_at,"
    " effective_at, received_at, domain, payload, content_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

_KNOWN = "SELECT event_id, position, content_hash FROM webhook_events WHERE source = ? AND event_id IN ({})"

Known = dict[tuple[str, str], tuple[int, bytes]]


def append(connection: Connection, deliveries: Sequence[Delivery]) -> tuple[list[Receipt], list[Appended]]:
    """Append what is new, inside the caller's write transaction.

    Returns a receipt for each delivery, in order, and what was appended.
    """
    known = _known(connection, deliveries)
    fresh = _fresh(known, deliveries)
    positions = _next_positions(connection, len(fresh))
    receipts, appended, rows = [], [], []
    for delivery in deliveries:
        envelope = delivery.envelope
        key = (delivery.source, envelope.event_id)
        if key in known:
            position, content_hash = known[key]
            same = content_hash == envelope.content_hash
            receipts.append(Receipt("duplicate" if same else "conflict", envelope.event_id, position))
            continue
        position = next(positions)
        known[key] = (position, envelope.content_hash)
        at = effective_at(envelope.occurred_at, delivery.received_at)
        rows.append((position, *_columns(delivery, at)))
        appended.append(Appended(position, delivery, at))
        receipts.append(Receipt("created", envelope.event_id, position))
    run_many(connection, _INSERT, rows)
    return receipts, appended


def next_range(connection: Connection, after: str, limit: int) -> SessionRange:
    """The range past `after` that holds about `limit` events, never a part of a session."""
    ids = select(LOG.session_id).where(LOG.session_id > after).order_by(LOG.session_id)
    return SessionRange(after, connection.execute(ids.offset(limit).limit(1)).scalar())


def sessions_touched(connection: Connection, after: int) -> list[str]:
    """The sessions that have events past position `after`."""
    query = select(LOG.session_id).where(LOG.position > after)
    # Asked for DISTINCT, SQLite would go through the whole log in its sessions' order.
    return list(dict.fromkeys(connection.execute(query).scalars()))


def head(connection: Connection) -> int:
    """The last committed position; 0 when the log is empty."""
    return connection.execute(select(func.max(LOG.position))).scalar() or 0


def _known(connection: Connection, deliveries: Iterable[Delivery]) -> Known:
    ids: dict[str, list[str]] = defaultdict(list)
    for delivery in deliveries:
        ids[delivery.source].append(delivery.envelope.event_id)
    known: Known = {}
    for source, event_ids in ids.items():
        for event_id, position, content_hash in select_in(connection, _KNOWN, event_ids, source):
            known[source, event_id] = (position, bytes(content_hash))
    return known


def _fresh(known: Known, deliveries: Iterable[Delivery]) -> set[tuple[str, str]]:
    return {(delivery.source, delivery.envelope.event_id) for delivery in deliveries} - known.keys()


def _next_positions(connection: Connection, count: int) -> Iterator[int]:
    """The next `count` positions. The write lock is held, so they are committed in this order."""
    if count == 0:
        return iter(())
    if connection.dialect.name == "postgresql":
        query = text(
            "SELECT nextval(pg_get_serial_sequence('webhook_events', 'position'))"
            " FROM generate_series(1, :count)"
        )
        return iter(connection.execute(query, {"count": count}).scalars().all())
    last = connection.exec_driver_sql(
        "SELECT seq FROM sqlite_sequence WHERE name = 'webhook_events'"
    ).scalar()
    return iter(range((last or 0) + 1, (last or 0) + 1 + count))


def _columns(delivery: Delivery, at: int) -> tuple[Any, ...]:
    envelope = delivery.envelope
    return (
        delivery.source,
        envelope.event_id,
        envelope.event_type,
        envelope.session_id,
        envelope.occurred_at,
        at,
        delivery.received_at,
        envelope.domain,
        envelope.payload,
        envelope.content_hash,
    )
