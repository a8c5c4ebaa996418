"""Sessions' histories: their events, read from the log as the fold takes them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Select, case, null, select

from projections.database.bulk import driver_rows
from projections.log import LOG, SessionRange
from projections.onboarding.events import Event
from projections.onboarding.process import RANK, TYPES_WITH_FACTS

# What Event._make does, without a call of Python's for every row.
_as_event: Callable[[Iterable[Any]], Event] = partial(tuple.__new__, Event)


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


def histories(connection: Connection, sessions: SessionRange) -> list[tuple[str, list[Event]]]:
    """The range's sessions in id order, each with all its events, nearly in sort order."""
    query = foldable().where(LOG.session_id > sessions.after).order_by(LOG.session_id, LOG.effective_at)
    if sessions.last is not None:
        query = query.where(LOG.session_id <= sessions.last)
    events = map(_as_event, driver_rows(connection, query))
    return [(session_id, list(group)) for session_id, group in groupby(events, key=itemgetter(0))]


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
