"""Repair without a whole rebuild: one session, the quarantined events, the tickets."""

from collections.abc import Iterable
from itertools import islice
from typing import Final, NamedTuple

from sqlalchemy import Connection, delete, insert, select

from portal_hooks.instants import now_instant
from projections.database.database import Database
from projections.database.tables import onboard_sessions
from projections.onboarding import projector, quarantine, sessions, state, tickets
from projections.onboarding.fold import FoldFailure, Session, describe, fold_tolerantly
from projections.onboarding.history import sessions_events
from projections.onboarding.read_models import READ_MODELS, ReadModel

TOGETHER: Final = 200
"""Sessions in one transaction: ingest need not wait for all of them."""

_TICKETS_READ: Final = 10_000
"""Sessions without their ticket that are held in memory at one time."""


class RebuildFailed(Exception):
    """The fold raised, or the cutover found no gap; the live tables are as they were."""


def fold_raised(failure: FoldFailure) -> RebuildFailed:
    """The error for an event that the fold raised on."""
    return RebuildFailed(f"{describe(failure)}; mend the fold, or let --keep-going quarantine such events")


def rebuild_session(database: Database, session_id: str) -> bool:
    """Fold one session anew and bring all that follows from it in step. False when the log does not know it.

    Raises RebuildFailed when the fold raises.
    """
    with database.write() as connection:
        events = sessions_events(connection, [session_id]).get(session_id, [])
        folded, failures = fold_tolerantly(session_id, events)
        if failures:
            raise fold_raised(failures[0])
        projector.refold(connection, [session_id], now_instant())
        _settle(connection, [folded])
        state.record(connection, rebuilt_at=now_instant())  # so open desks are told
    for model in READ_MODELS:
        _mend(database, model)
    return bool(events)


def _mend(database: Database, model: ReadModel) -> None:
    """What followed from a wrong row may be as wrong: look, and hold up ingest only when it is."""
    stored, wanted = select(model.table), model.totals(onboard_sessions)
    differences = (stored.except_(wanted), wanted.except_(stored))
    with database.read() as connection:
        if not any(connection.execute(rows).first() for rows in differences):
            return
    with database.write() as connection:
        connection.execute(delete(model.table))
        connection.execute(insert(model.table).from_select(model.table.columns.keys(), wanted))


class Retried(NamedTuple):
    """How many sessions were folded again, and what the fold still raises on."""

    sessions: int
    failures: list[FoldFailure]


def retry_quarantined(database: Database, session_id: str | None = None) -> Retried:
    """Retry all sessions that have quarantined events, or the one given if it has any.

    Raises DatabaseUnavailable; what was folded until then stays.
    """
    with database.read() as connection:
        waiting = quarantine.sessions(connection)
    if session_id is not None:
        waiting = [session_id] if session_id in waiting else []
    failures: list[FoldFailure] = []
    for start in range(0, len(waiting), TOGETHER):
        with database.write() as connection:
            failures += projector.refold(connection, waiting[start : start + TOGETHER], now_instant())
    return Retried(len(waiting), failures)


def settle_tickets(database: Database) -> None:
    """Bring the derived part of all tickets in step with the sessions' rows."""
    after: str | None = ""
    while after is not None:
        with database.read() as connection:
            found = list(tickets.out_of_step(connection, after, _TICKETS_READ))
        after = found[-1] if found else None
        waiting = iter(found)
        while some := list(islice(waiting, TOGETHER)):
            with database.write() as connection:
                # Read again under the write lock: ingest may have moved the sessions since.
                _settle(connection, sessions.load(connection, some).values())


def _settle(connection: Connection, states: Iterable[Session]) -> None:
    needs = {state.session_id: tickets.need(state) for state in states}
    readiness = {session_id: need.ready for session_id, need in needs.items() if need.exists}
    tickets.settle(connection, readiness, now_instant())
