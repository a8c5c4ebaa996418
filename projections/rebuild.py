"""Rebuild the sessions beside the live table, cut over; verify that rows are the fold of the log.

The log's position order is its commit order, so "what has changed since position N" is exactly the events
past N: live ingest needs not know that a rebuild is running.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, select

from portal_hooks.instants import now_instant
from projections import fingerprint, onboarding, projector, sessions, shadow, tickets
from projections.database import Database, DatabaseUnavailable
from projections.log import head, histories, sessions_events, sessions_touched
from projections.onboarding import Event, Session
from projections.tables import onboard_sessions, quarantined_events

CHUNK_EVENTS: Final = 20_000
CUTOVER_SESSIONS: Final = 200
"""At most so many sessions are refolded while ingest waits."""

_CUTOVER_TRIES: Final = 20

Progress = Callable[[str, int, int], None]
"""Called with the phase, the events done and the events in all."""


class RebuildFailed(Exception):
    """The fold raised, or the cutover found no gap; the live table is as it was."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a rebuild did."""

    events: int
    sessions: int
    position: int


class Difference(NamedTuple):
    """A field whose stored value is not what the fold of the log gives."""

    session_id: str
    field: str
    stored: Any
    expected: Any


def rebuild(database: Database, progress: Progress) -> Summary:
    """Replay the whole log into a shadow table and cut over, while ingest goes on.

    Raises RebuildFailed, AlreadyRunning or DatabaseUnavailable.
    """
    with database.alone("rebuild"):
        with database.write() as connection:
            shadow.create(connection)
            start = head(connection)
        events, built = _fill(database, start, progress)
        position = _catch_up(database, start)
        progress("cutover", events, events)
        position = _cut_over(database, position)
        progress("tickets", events, events)
        _follow_tickets(database)
    return Summary(events, built, position)


def rebuild_session(database: Database, session_id: str) -> bool:
    """Fold one session anew, its ticket included. False when the log knows no such session.

    Raises RebuildFailed when the fold raises.
    """
    with database.write() as connection:
        events = sessions_events(connection, [session_id])
        if not events:
            connection.execute(delete(onboard_sessions).where(onboard_sessions.c.session_id == session_id))
            return False
        _fold_strictly(session_id, events[session_id])
        projector.refold(connection, [session_id], now_instant())
    return True


def verify(database: Database, progress: Progress) -> Iterator[Difference]:
    """Refold every session and compare it, field by field, with its row and its ticket. Changes nothing."""
    with database.read() as connection:
        total = head(connection)
    after, done = "", 0
    while True:
        with database.read() as connection:
            chunk = histories(connection, after, CHUNK_EVENTS)
            last = chunk[-1][0] if chunk else None
            stored = _stored_between(connection, after, last)
        yield from _compare(chunk, stored)
        if last is None:
            break
        after, done = last, done + sum(len(events) for _, events in chunk)
        progress("verify", done, total)
    with database.read() as connection:
        for session_id, ready in tickets.out_of_step(connection).items():
            yield Difference(session_id, "ticket", None, "ready_for_ops" if ready else "open")


def _fill(database: Database, total: int, progress: Progress) -> tuple[int, int]:
    after, events, built = "", 0, 0
    while True:
        with database.read() as connection:
            chunk = histories(connection, after, CHUNK_EVENTS)
        if not chunk:
            return events, built
        folded = [_fold_strictly(session_id, history) for session_id, history in chunk]
        with database.write() as connection:
            sessions.upsert(connection, folded, shadow.SHADOW)
        after = chunk[-1][0]
        events += sum(session.event_count for session in folded)
        built += len(folded)
        progress("replay", events, max(total, events))


def _catch_up(database: Database, position: int) -> int:
    """Refold what ingest touched since `position` until little is left. Returns the position reached."""
    while True:
        with database.read() as connection:
            reached = head(connection)
            touched = sessions_touched(connection, position)
        if len(touched) <= CUTOVER_SESSIONS:
            return position
        waiting = iter(touched)
        while some := list(islice(waiting, CUTOVER_SESSIONS)):
            with database.write() as connection:
                _refold_into_shadow(connection, some)
        position = reached


def _cut_over(database: Database, position: int) -> int:
    for _ in range(_CUTOVER_TRIES):
        position = _catch_up(database, position)
        try:
            with database.write() as connection:
                _refold_into_shadow(connection, sessions_touched(connection, position))
                shadow.swap(connection)
                connection.execute(delete(quarantined_events))
                fingerprint.record(
                    connection,
                    fingerprint=fingerprint.fingerprint(),
                    rebuilt_at=now_instant(),
                )
                return head(connection)
        except DatabaseUnavailable as error:
            unavailable = error
    raise RebuildFailed(
        f"no gap for the cutover after {_CUTOVER_TRIES} tries: {unavailable}"
    ) from unavailable


def _refold_into_shadow(connection: Connection, session_ids: list[str]) -> None:
    folded = [
        _fold_strictly(session_id, events)
        for session_id, events in sessions_events(connection, session_ids).items()
    ]
    sessions.upsert(connection, folded, shadow.SHADOW)


def _follow_tickets(database: Database) -> None:
    with database.read() as connection:
        waiting = iter(sorted(tickets.out_of_step(connection)))
    while some := list(islice(waiting, CUTOVER_SESSIONS)):
        with database.write() as connection:
            # Read again under the write lock: ingest may have moved the session since.
            needs = {key: tickets.need(session) for key, session in sessions.load(connection, some).items()}
            readiness = {key: need.ready for key, need in needs.items() if need.exists}
            tickets.follow(connection, readiness, now_instant())


def _fold_strictly(session_id: str, events: Iterable[Event]) -> Session:
    session = Session(session_id)
    for event in sorted(events):
        try:
            onboarding.apply(session, event)
        except Exception as error:
            raise RebuildFailed(
                f"the fold raised {type(error).__name__} at event {event.position} ({event.event_type},"
                f" id {event.event_id}) of session {session_id}: {error}"
            ) from error
    return session


def _stored_between(connection: Connection, after: str, last: str | None) -> dict[str, tuple[Any, ...]]:
    """The stored rows past `after` up to `last`, or to the end."""
    query = select(onboard_sessions).where(onboard_sessions.c.session_id > after)
    if last is not None:
        query = query.where(onboard_sessions.c.session_id <= last)
    return {row[0]: tuple(row) for row in connection.execute(query)}


def _compare(
    chunk: list[tuple[str, list[Event]]], stored: dict[str, tuple[Any, ...]]
) -> Iterator[Difference]:
    for session_id, history in chunk:
        row = stored.pop(session_id, None)
        try:
            expected = sessions.to_row(_fold_strictly(session_id, history))
        except RebuildFailed as error:
            yield Difference(session_id, "fold", None, str(error))
            continue
        if row is None:
            yield Difference(session_id, "row", "missing", "present")
        elif row != expected:
            for name, was, should in zip(sessions.COLUMNS, row, expected, strict=True):
                if was != should:
                    yield Difference(session_id, name, was, should)
    for session_id in stored:
        yield Difference(session_id, "row", "present", "missing")
