"""Rebuild the read models beside the live ones and cut over, while ingest goes on.

The log's position order is its commit order, so "what has changed since position N" is exactly the events
past N: live ingest needs not know that a rebuild is running. A killed rebuild leaves the live tables whole;
the next one goes on where it stopped.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, text

from portal_hooks.instants import now_instant
from projections.database.database import Database, DatabaseMisconfigured, DatabaseUnavailable
from projections.database.tables import onboard_sessions, quarantined_events
from projections.log import SessionRange, head, sessions_touched
from projections.onboarding import quarantine, rows, sessions, state
from projections.onboarding.events import Event
from projections.onboarding.fingerprint import fingerprint
from projections.onboarding.fold import FoldFailure, Session, fold_tolerantly
from projections.onboarding.history import histories, sessions_events
from projections.onboarding.read_models import READ_MODELS
from projections.onboarding.rows import Change
from projections.rebuild import shadow, table_dependents
from projections.rebuild.repair import RebuildFailed, fold_raised, settle_tickets
from projections.rebuild.scan import replay
from projections.rebuild.shadow import shadow_of

CUTOVER_SESSIONS: Final = 200
"""At most so many sessions are refolded while ingest waits."""

_CUTOVER_TRIES: Final = 20
_CUTOVER_PAUSE_SECONDS: Final = 3
_CATCH_UP_ROUNDS: Final = 20
"""Ingest faster than the catch-up would outrun it for ever; after so many rounds it has to wait a little."""
_LOOKS_AGAIN_SECONDS: Final = 0.1
"""A writer that has waited long for SQLite's lock looks for it so often, and shall find it free for once."""
_LIVE: Final = (onboard_sessions, *(model.table for model in READ_MODELS))
_SHADOW: Final = shadow_of(onboard_sessions)

Progress = Callable[[str, int, int], None]
"""Called with the phase, the events done and the events in all."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a rebuild did."""

    events: int
    sessions: int
    position: int
    resumed: bool
    quarantined: int


@dataclass(slots=True)
class _Fold:
    """The fold of whole sessions; what raises stops the rebuild or, if it keeps going, is set aside."""

    keep_going: bool
    failures: dict[str, list[FoldFailure]] = field(default_factory=dict)

    def __call__(self, session_id: str, events: Iterable[Event]) -> Session:
        session, failures = fold_tolerantly(session_id, events)
        self.failures.pop(session_id, None)
        if failures:
            self.set_aside({session_id: failures})
        return session

    def set_aside(self, failures: Mapping[str, list[FoldFailure]]) -> None:
        """Take note of what raised, by session."""
        if failures and not self.keep_going:
            raise fold_raised(next(iter(failures.values()))[0])
        self.failures.update(failures)


class _Folded(NamedTuple):
    """A range of sessions, folded."""

    rows: list[rows.Row]
    failures: dict[str, list[FoldFailure]]
    events: int
    sessions: int


def rebuild(database: Database, progress: Progress, *, keep_going: bool = False) -> Summary:
    """Replay the whole log into shadow tables and cut over.

    With `keep_going`, events the fold raises on are quarantined instead of stopping the rebuild. Raises
    RebuildFailed, AlreadyRunning, DatabaseMisconfigured or DatabaseUnavailable.
    """
    fold = _Fold(keep_going)
    with database.alone("rebuild"):
        start, resumed = _begin(database, anew=keep_going)
        events, folded = _fill(database, start, fold, progress)
        progress("indexes", events, events)
        _index_and_derive(database)
        progress("cutover", events, events)
        position = _cut_over(database, start, fold)
        progress("tickets", events, events)
        settle_tickets(database)
    return Summary(events, folded, position, resumed, sum(map(len, fold.failures.values())))


def _begin(database: Database, *, anew: bool) -> tuple[int, bool]:
    """The position from which to catch up, and whether a killed rebuild is continued."""
    with database.write() as connection:
        for live in _LIVE:
            table_dependents.require_replaceable(connection, live)
        built_by, position = state.shadow_state(connection)
        usable = built_by == fingerprint() and shadow.exists(connection, onboard_sessions)
        if usable and position is not None and not anew:
            return position, True
        shadow.create(connection, onboard_sessions)
        start = head(connection)
        # What a rebuild that keeps going has left out is known to it alone: nobody may resume it.
        built_by = None if anew else fingerprint()
        state.record(connection, shadow_fingerprint=built_by, shadow_position=start)
    return start, False


def _fill(database: Database, total: int, fold: _Fold, progress: Progress) -> tuple[int, int]:
    """Fold session after session, in id order, into the shadow. Returns the events and sessions done."""
    with database.read() as connection:
        done = select(func.max(_SHADOW.c.session_id), func.sum(_SHADOW.c.event_count), func.count())
        after, events, folded = connection.execute(done).one()
    events = int(events or 0)
    with closing(replay(database, _fold_range, after or "")) as parts:
        for part in parts:
            fold.set_aside(part.failures)
            with database.write_aside() as connection:
                sessions.upsert(connection, part.rows, _SHADOW)
            events += part.events
            folded += part.sessions
            progress("replay", events, max(total, events))
    return events, folded


def _fold_range(connection: Connection, of: SessionRange) -> _Folded:
    found = histories(connection, of)
    folded = [fold_tolerantly(session_id, events) for session_id, events in found]
    folded_rows = [rows.to_row(session) for session, _ in folded if session.event_count]
    failures = {session.session_id: failed for session, failed in folded if failed}
    return _Folded(folded_rows, failures, sum(len(events) for _, events in found), len(found))


def _index_and_derive(database: Database) -> None:
    """Index the filled shadow; meanwhile read what the other read models' shadows are to hold."""
    with ThreadPoolExecutor(1) as beside:
        derived = beside.submit(_derived, database)
        _index(database)
    for model, derived_rows in zip(READ_MODELS, derived.result(), strict=True):
        with database.write_aside() as connection:
            shadow.create(connection, model.table)
            if derived_rows:
                connection.execute(insert(shadow_of(model.table)), derived_rows)


def _index(database: Database) -> None:
    """Index the filled shadow: cheaper than keeping indexes in step. On SQLite ingest waits for each."""
    for index in sorted(_SHADOW.indexes, key=lambda index: str(index.name)):
        started = time.monotonic()
        with database.write_aside() as connection:
            index.create(connection, checkfirst=True)
        if database.is_sqlite:
            time.sleep(min(time.monotonic() - started, _LOOKS_AGAIN_SECONDS))


def _derived(database: Database) -> list[list[dict[str, Any]]]:
    """The rows of each read model, from the sessions' shadow, which only this rebuild changes."""
    with database.scan() as connection:
        return [
            [dict(row) for row in connection.execute(model.totals(_SHADOW)).mappings()]
            for model in READ_MODELS
        ]


def _catch_up(database: Database, position: int, fold: _Fold) -> int:
    """Refold what ingest touched since `position` until little is left. Returns the position reached."""
    for _ in range(_CATCH_UP_ROUNDS):
        with database.read() as connection:
            reached = head(connection)
            touched = sessions_touched(connection, position)
        if len(touched) <= CUTOVER_SESSIONS:
            break
        waiting = iter(touched)
        while some := list(islice(waiting, CUTOVER_SESSIONS)):
            with database.write_aside() as connection:
                _refold_into_shadow(connection, some, fold)
        position = reached
    return position


def _cut_over(database: Database, position: int, fold: _Fold) -> int:
    """Swap the shadows in. Returns the log's position at that moment."""
    unavailable: DatabaseUnavailable | None = None
    for attempt in range(_CUTOVER_TRIES):
        position = _catch_up(database, position, fold)
        try:
            with database.write() as connection:
                if not database.is_sqlite:
                    # Waiting for the swap's lock blocks every new reader behind us: rather come again.
                    connection.execute(text("SET LOCAL lock_timeout = '200ms'"))
                _refold_into_shadow(connection, sessions_touched(connection, position), fold)
                return _swap(connection, fold)
        except DatabaseMisconfigured:
            raise
        except DatabaseUnavailable as error:
            unavailable = error
        with database.read() as connection:
            if state.shadow_state(connection)[1] is None:
                return head(connection)  # the answer to the commit was lost, the commit was not
        time.sleep(min(0.1 * 2**attempt, _CUTOVER_PAUSE_SECONDS))
    raise RebuildFailed(f"no gap for the cutover after {_CUTOVER_TRIES} tries: {unavailable}")


def _swap(connection: Connection, fold: _Fold) -> int:
    for live in _LIVE:
        shadow.swap(connection, live)
    now = now_instant()
    connection.execute(delete(quarantined_events))
    quarantine.record(connection, chain.from_iterable(fold.failures.values()), now)
    state.record(
        connection,
        fingerprint=fingerprint(),
        rebuilt_at=now,
        shadow_fingerprint=None,
        shadow_position=None,
    )
    return head(connection)


def _refold_into_shadow(connection: Connection, session_ids: list[str], fold: _Fold) -> None:
    before = sessions.load(connection, session_ids, _SHADOW)
    found = sessions_events(connection, session_ids)
    changes = [Change(before.get(key), fold(key, events)) for key, events in found.items()]
    sessions.write(connection, changes, _SHADOW)
    for model in READ_MODELS:
        model.follow(connection, changes, shadow_of(model.table))
