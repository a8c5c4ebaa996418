"""What the rebuild is compared with, each run in a process of its own as the command is.

    python -m bench.replay_rivals scan URL     fetch all rows of our log in the database and do nothing
    python -m bench.replay_rivals map FILE     `eventsourcing`: read all its events in FILE and map them

Either prints how many.
"""

import importlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from pysqlite3 import dbapi2 as sqlite

from bench.measure import seconds
from bench.wizard_traffic import Moment
from portal_hooks.instants import SECOND

_PAGE: Final = 10_000
_SCAN: Final = (
    "SELECT position, session_id, effective_at, event_id, source, event_type, domain, payload"
    " FROM webhook_events"
)


def timed(task: str, target: str) -> float:
    """Seconds of one run, start of the interpreter included."""
    command = [sys.executable, "-m", "bench.replay_rivals", task, target]
    return seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))


def make_library_store(file: Path, moments: Iterable[Moment]) -> None:
    """The same history as `eventsourcing` stores it: an aggregate a session, an event a moment."""
    recorder, mapper = _library(file)
    for stored in _pages(map(mapper.to_stored_event, _library_events(moments))):
        recorder.insert_events(stored)


def _scan(url: str) -> int:
    cursor: Any
    if url.startswith("sqlite:"):
        cursor = sqlite.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro", uri=True).execute(_SCAN)
    else:
        psycopg = importlib.import_module("psycopg")  # the scan of the other database shall not pay for it
        cursor = psycopg.connect(url).cursor("scan").execute(_SCAN)
    found = 0
    while rows := cursor.fetchmany(_PAGE):
        found += len(rows)
    return found


def _map(file: str) -> int:
    recorder, mapper = _library(Path(file))
    found = 0
    while page := recorder.select_notifications(found + 1, _PAGE):
        for notification in page:
            mapper.to_domain_event(notification)
        found += len(page)
    return found


def _library(file: Path) -> tuple[Any, Any]:
    """Its recorder on SQLite, and its mapper with the transcodings its applications have."""
    sqlite_module = importlib.import_module("eventsourcing.sqlite")
    persistence = importlib.import_module("eventsourcing.persistence")
    recorder = sqlite_module.SQLiteApplicationRecorder(sqlite_module.SQLiteDatastore(str(file)))
    recorder.create_table()
    transcoder = persistence.JSONTranscoder()
    for name in ("UUIDAsHex", "DecimalAsStr", "DatetimeAsISO"):
        transcoder.register(getattr(persistence, name)())
    return recorder, persistence.Mapper(transcoder)


def _library_events(moments: Iterable[Moment]) -> Iterator[Any]:
    event = importlib.import_module("eventsourcing.domain").Aggregate.Event
    versions: Counter[str] = Counter()
    for moment in moments:
        versions[moment.session_id] += 1
        made = object.__new__(event)
        vars(made).update(
            originator_id=UUID(moment.session_id),
            originator_version=versions[moment.session_id],
            timestamp=datetime.fromtimestamp(moment.at / SECOND, UTC),
            **moment.envelope(),
        )
        yield made


def _pages(items: Iterator[Any]) -> Iterator[list[Any]]:
    while page := list(islice(items, _PAGE)):
        yield page


if __name__ == "__main__":
    print({"scan": _scan, "map": _map}[sys.argv[1]](sys.argv[2]))
