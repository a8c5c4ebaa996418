"""Fold the sessions with quarantined events anew, a few at a time: ingest need not wait for all of them."""

from typing import Final, NamedTuple

from portal_hooks.instants import now_instant
from projections import projector, quarantine
from projections.database import Database
from projections.quarantine import Failure

_TOGETHER: Final = 200
"""Sessions in one transaction."""


class Retried(NamedTuple):
    """How many sessions were folded again, and what the fold still raises on."""

    sessions: int
    failures: list[Failure]


def retry_quarantined(database: Database, session_id: str | None = None) -> Retried:
    """Retry all sessions that have quarantined events, or the one given if it has any.

    Raises DatabaseUnavailable; what was folded until then stays.
    """
    with database.read() as connection:
        waiting = quarantine.sessions(connection)
    if session_id is not None:
        waiting = [session_id] if session_id in waiting else []
    failures: list[Failure] = []
    for start in range(0, len(waiting), _TOGETHER):
        with database.write() as connection:
            failures += projector.refold(connection, waiting[start : start + _TOGETHER], now_instant())
    return Retried(len(waiting), failures)
