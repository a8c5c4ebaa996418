"""Databases with a long history, made fast: the log's rows are written as `append` would write them."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select

from bench.wizard_traffic import Moment, moments
from portal_hooks.instants import HOUR, MINUTE, SECOND, parse_instant
from projections.canonical_json import canonical_json
from projections.database.bulk import run_many
from projections.database.database import Database
from projections.database.migrate import upgrade
from projections.envelope import parse_envelope
from projections.log import LOG

END: Final = parse_instant("2026-06-08T12:00:00Z")
"""Where every made-up history ends, whatever day it is measured on."""

EVENTS_PER_SESSION: Final = 5.88
WINDOW: Final = 48 * HOUR
WINDOW_SHARE: Final = 0.01
"""The window of 48 hours holds this part of the history."""

SOURCE: Final = "vm112-portal"

_CHUNK = 20_000
_LATENCY = SECOND
_COLUMNS = (
    "source, event_id, event_type, session_id, occurred_at, effective_at, received_at, domain, payload,"
    " content_hash"
)
_INSERT = f"INSERT INTO webhook_events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

Row = tuple[Any, ...]


def history(events: int) -> Iterator[Moment]:
    """So many events that end at END, with WINDOW_SHARE of them in the last WINDOW."""
    span = int(WINDOW / WINDOW_SHARE)
    gap = int(span / (events / EVENTS_PER_SESSION))
    return islice(moments(END - span, gap), events)


def fill(url: str, events: Iterable[Moment]) -> None:
    """Migrate the empty database and put these events in its log, without sessions yet."""
    remaining = iter(events)
    _require_true_rows()
    with Database(url) as database:
        upgrade(database)
        while rows := list(map(row, islice(remaining, _CHUNK))):
            with database.write() as connection:
                run_many(connection, _INSERT, rows)


def cached(folder: Path, name: str, events: Callable[[], Iterable[Moment]]) -> str:
    """The URL of the database `name` in `folder`, made when it is not there yet; its schema is today's."""
    path = folder / f"{name}.sqlite3"
    if path.exists():
        with Database(f"sqlite:///{path}") as database:
            upgrade(database)
        return f"sqlite:///{path}"
    unfinished = folder / f"{name}.unfinished.sqlite3"
    fill(f"sqlite:///{unfinished}", events())
    unfinished.rename(path)
    return f"sqlite:///{path}"


def row(moment: Moment) -> Row:
    """The log's row for an event, without the strict reading: this one is our own."""
    value = moment.envelope()
    payload = canonical_json(value)
    content = canonical_json(value | {"occurred_at": moment.at})
    at, session_id, _, event_type, domain = moment
    digest = hashlib.sha256(content.encode()).digest()
    event_id = value["event_id"]
    return SOURCE, event_id, event_type, session_id, at, at, at + _LATENCY, domain, payload, digest


def counts(database: Database) -> tuple[int, int]:
    """How many events and sessions the log holds."""
    with database.read() as connection:
        query = select(func.count(), func.count(LOG.session_id.distinct()))
        events, sessions = connection.execute(query).one()
    return events, sessions


def window_start(database: Database) -> int:
    """Where the window begins that ends with the last event."""
    with database.read() as connection:
        last: int = connection.execute(select(func.max(LOG.effective_at))).scalar_one()
    return last - WINDOW


def _require_true_rows() -> None:
    """The short cut gives what the strict reading gives."""
    for moment in islice(moments(END, MINUTE), 100):
        made = row(moment)
        read = parse_envelope(moment.envelope())
        assert (made[1], made[2], made[3], made[4], *made[7:]) == tuple(read)
