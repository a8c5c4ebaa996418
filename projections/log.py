"""The event log: append without duplicates, read in order."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import Connection, Select, case, func, null, select, text

from projections.driver_path import driver_rows, run_many, select_in
from projections.envelope import Envelope
from projections.onboarding import RANK, TYPES_WITH_FACTS, Event, effective_at
from projections.tables import webhook_events

LOG: Final = webhook_events.c


class Delivery(NamedTuple):
    """An authenticated event on its way into the log."""

    source: str
    received_at: int
    envelope: Envelope


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

# What Event._make does, without a call of Python's for every row.
_as_event: Callable[[Iterable[Any]], Event] = partial(tuple.__new__, Event)

Known = dict[tuple[str, str], tuple[int, bytes]]


def append(connection: Connection, deliveries: Sequence[Delivery]) -> tuple[list[Receipt], list[Event]]:
    """Append what is new, inside the caller's write transaction.

    Returns a receipt for each delivery, in order, and the events that were created.
    """
    known = _known(connection, deliveries)
    fresh = _fresh(known, deliveries)
    positions = _next_positions(connection, len(fresh))
    receipts, created, rows = [], [], []
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
        created.append(to_event(position, delivery, at))
        receipts.append(Receipt("created", envelope.event_id, position))
    run_many(connection, _INSERT, rows)
    return receipts, created


def sessions_events(
    connection: Connection, session_ids: Sequence[str], *, received_by: int | None = None
) -> dict[str, list[Event]]:
    """All events of each of the sessions, unordered; only those received by an instant, if one is given.

    Sessions without any are left out.
    """
    found: dict[str, list[Event]] = defaultdict(list)
    if session_ids:
        query = foldable().where(LOG.session_id.in_(session_ids))
        if received_by is not None:
            query = query.where(LOG.received_at <= received_by)
        for event in map(_as_event, driver_rows(connection, query)):
            found[event.session_id].append(event)
    return found


def next_range(connection: Connection, after: str, limit: int) -> SessionRange:
    """The range past `after` that holds about `limit` events, never a part of a session."""
    ids = select(LOG.session_id).where(LOG.session_id > after).order_by(LOG.session_id)
    return SessionRange(after, connection.execute(ids.offset(limit).limit(1)).scalar())


def histories(connection: Connection, sessions: SessionRange) -> list[tuple[str, list[Event]]]:
    """The range's sessions in id order, each with all its events, nearly in sort order."""
    query = foldable().where(LOG.session_id > sessions.after).order_by(LOG.session_id, LOG.effective_at)
    if sessions.last is not None:
        query = query.where(LOG.session_id <= sessions.last)
    events = map(_as_event, driver_rows(connection, query))
    return [(session_id, list(group)) for session_id, group in groupby(events, key=itemgetter(0))]


def sessions_touched(connection: Connection, after: int) -> list[str]:
    """The sessions that have events past position `after`."""
    query = select(LOG.session_id).where(LOG.position > after)
    # Asked for DISTINCT, SQLite would go through the whole log in its sessions' order.
    return list(dict.fromkeys(connection.execute(query).scalars()))


def foldable() -> Select[Any]:
    """The columns of Event, in its order."""
    facts = case((LOG.event_type.in_(TYPES_WITH_FACTS), LOG.payload), else_=null())
    return select(
        LOG.session_id,
        LOG.effective_at,
        case(RANK, value=LOG.event_type, else_=0),
        LOG.event_id,
        LOG.source,
        LOG.event_type,
        LOG.domain,
        facts,
        LOG.position,
    )


def to_event(position: int, delivery: Delivery, at: int) -> Event:
    """The event as `foldable` would read it back; `at` is when it takes effect."""
    envelope = delivery.envelope
    return Event(
        envelope.session_id,
        at,
        RANK.get(envelope.event_type, 0),
        envelope.event_id,
        delivery.source,
        envelope.event_type,
        envelope.domain,
        envelope.payload if envelope.event_type in TYPES_WITH_FACTS else None,
        position,
    )


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
