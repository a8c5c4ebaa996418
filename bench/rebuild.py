"""How fast the read models are built anew from a long log, by the command an operator runs.

Beside it, on the same rows: fetching them all without doing anything, in a process of its own, too, and one
`INSERT … SELECT … GROUP BY` that counts a little of what the fold does, inside SQLite. The `eventsourcing`
library takes part when it can be imported: it reads as many events and maps them to objects, no more. On
PostgreSQL the raw scan alone is beside it.
"""

import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import psycopg
import typer
from sqlalchemy import text

from bench import event_log, replay_rivals
from bench.measure import Bar, Figure, Report, alternate, ratio, seconds
from bench.rebuild_command import Run, peak_bytes, run
from portal_hooks.instants import format_instant, now_instant
from projections.database.database import Database
from projections.envelope import Delivery, parse_envelope
from projections.onboarding.projector import project
from tests.servers import postgres

MEGABYTE: Final = 1_000_000
_GROUPING: Final = "INSERT … SELECT … GROUP BY"
_LIBRARY: Final = "eventsourcing, read and mapped"
_INGEST_SECONDS: Final = 0.01

_GROUPED = """
INSERT INTO grouped
SELECT session_id, min(effective_at), max(effective_at), count(*), max(domain),
       min(effective_at) FILTER (WHERE event_type = 'onboarding.started'),
       min(effective_at) FILTER (WHERE event_type = 'domain.validated'),
       min(effective_at) FILTER (WHERE event_type = 'dns.applied'),
       min(effective_at) FILTER (WHERE event_type = 'account.created'),
       min(effective_at) FILTER (WHERE event_type = 'infra.synced'),
       min(effective_at) FILTER (WHERE event_type = 'onboarding.completed'),
       count(*) FILTER (WHERE event_type = 'onboarding.failed')
FROM webhook_events GROUP BY session_id
"""


def main(
    events: Annotated[int, typer.Option(min=1_000)] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    keep: Annotated[Path | None, typer.Option(help="Keep the database here for the next run.")] = None,
    flat: Annotated[int, typer.Option(help="Also measure 10,000, 100,000, … events, up to so many.")] = 0,
    postgresql: Annotated[bool, typer.Option("--postgresql", help="On a server of its own.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure the rebuild; every figure is the median of the rounds."""
    with ExitStack() as running:
        folder = keep or Path(running.enter_context(tempfile.TemporaryDirectory(prefix="ops-bench-")))
        folder.mkdir(parents=True, exist_ok=True)
        report = Report(f"Rebuild of {events:,} events, {'PostgreSQL' if postgresql else 'SQLite'}")
        if postgresql:
            url = running.enter_context(_on_postgresql(events))
        else:
            url = event_log.cached(folder, f"history-{events}", lambda: event_log.history(events))
        database = Database(url)
        report.notes.append("{:,} events, {:,} sessions".format(*event_log.counts(database)))
        first = _rebuild(url)
        report.notes.append(f"the first build, which opens every ticket, took {first.seconds:.1f} s")
        runs: list[Run] = []
        contestants: dict[str, Callable[[], float]] = {
            "ops-rebuild-projections": lambda: _timed_rebuild(url, runs),
            "raw scan": lambda: replay_rivals.timed("scan", url),
        }
        if not postgresql:
            contestants[_GROUPING] = lambda: _group(database)
        if importlib.util.find_spec("eventsourcing") and not postgresql:
            library = _library_store(folder, events)
            contestants[_LIBRARY] = lambda: replay_rivals.timed("map", library)
        _judge(report, events, alternate(contestants, rounds), runs)
        report.bars.append(Bar("peak memory", peak_bytes(url) / MEGABYTE, "<=", 300, "MB"))
        _judge_verify(report, url)
        _judge_stall(report, url, database)
        if flat:
            _judge_flatness(report, folder, flat)
        database.dispose()
    report.show(as_json)


def _judge(report: Report, events: int, samples: dict[str, list[float]], runs: list[Run]) -> None:
    for name, times in samples.items():
        report.figures.append(Figure(name, "events/s", [events / taken for taken in times]))
    inside = Figure("    by its own clock", "events/s", [events / one.last["seconds"] for one in runs])
    report.figures.insert(1, inside)
    ours, scan = (samples[name] for name in list(samples)[:2])
    report.bars += [
        Bar("rebuild", report.figures[0].median, ">=", 200_000, "events/s"),
        Bar("rebuild's time to the raw scan's", ratio(ours, scan), "<=", 3),
    ]
    if library := samples.get(_LIBRARY):
        report.bars.append(Bar("the library's time to the rebuild's", ratio(library, ours), ">=", 2))
    if grouped := samples.get(_GROUPING):
        report.notes.append(f"the rebuild takes {ratio(ours, grouped):.1f} times the GROUP BY's time")


def _judge_verify(report: Report, url: str) -> None:
    verified = run(url, "--verify")
    report.notes.append(f"--verify took {verified.seconds:.1f} s")
    report.bars.append(Bar("differences found by --verify", verified.last["differences"], "<=", 0))


def _judge_stall(report: Report, url: str, database: Database) -> None:
    """The longest that one of 100 events a second waited to be durable while a rebuild ran.

    As the service's writer does it, all that have come meanwhile go into one transaction.
    """
    waits: list[float] = []
    at_cutover = [0.0]
    phase = ""

    def note(line: dict[str, Any]) -> None:
        nonlocal phase
        phase = line.get("phase", "")

    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(run, url, seen=note)
        due = time.perf_counter()
        while not building.done():
            waiting = 1 + int((time.perf_counter() - due) / _INGEST_SECONDS)
            began_in = phase
            _ingest(database, waiting)
            committed = time.perf_counter()
            waits += [committed - due - late * _INGEST_SECONDS for late in range(waiting)]
            if "cutover" in (began_in, phase):
                at_cutover.append(committed - due)
            due += waiting * _INGEST_SECONDS
            time.sleep(max(0.0, due - time.perf_counter()))
        building.result()
    report.figures.append(Figure("ingest during a rebuild", "ms", [wait * 1000 for wait in waits]))
    report.bars.append(Bar("longest wait at the cutover", max(at_cutover) * 1000, "<=", 250, "ms"))


def _ingest(database: Database, events: int) -> None:
    now = now_instant()
    value = {"event_type": "onboarding.started", "occurred_at": format_instant(now)}
    names = [f"stall-{now}-{number}" for number in range(events)]
    envelopes = [parse_envelope(value | {"event_id": name, "session_id": name}) for name in names]
    with database.write() as connection:
        project(connection, [Delivery(event_log.SOURCE, now, envelope) for envelope in envelopes])


def _judge_flatness(report: Report, folder: Path, most: int) -> None:
    """The cost of an event, by the command's own clock, over logs ten times as long each."""
    sizes = [10**power for power in range(4, 10) if 10**power <= most]
    costs = []
    for size in sizes:
        url = event_log.cached(folder, f"history-{size}", lambda size=size: event_log.history(size))  # type: ignore[misc]
        runs = [_rebuild(url) for _ in range(3)][1:]
        costs.append(min(one.last["seconds"] for one in runs) / size * 1e6)
        report.figures.append(Figure(f"cost per event of {size:,}", "µs", [costs[-1]]))
    report.bars.append(Bar("dearest cost per event to cheapest", max(costs) / min(costs), "<=", 1.2))


@contextmanager
def _on_postgresql(events: int) -> Iterator[str]:
    """The history on a server of its own, as the server's own housekeeping leaves a log that has grown."""
    with postgres.server() as server, postgres.database(server) as url:
        event_log.fill(url, event_log.history(events))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE) webhook_events")
        yield url


def _library_store(folder: Path, events: int) -> str:
    file = folder / f"library-{events}.sqlite3"
    if not file.exists():
        replay_rivals.make_library_store(file, event_log.history(events))
    return str(file)


def _timed_rebuild(url: str, runs: list[Run]) -> float:
    runs.append(_rebuild(url))
    return runs[-1].seconds


def _rebuild(url: str) -> Run:
    done = run(url)
    assert done.last["result"] == "rebuilt", done.last
    return done


def _group(database: Database) -> float:
    """Timed inside; the table is dropped with the transaction."""
    names = "first_event_at, last_event_at, event_count, domain, s1, s2, s3, s4, s5, s6, failure_count"
    with database.write() as connection:
        connection.exec_driver_sql(f"CREATE TABLE grouped (session_id PRIMARY KEY, {names}) WITHOUT ROWID")
        taken = seconds(lambda: connection.execute(text(_GROUPED)))
        connection.rollback()
    return taken


if __name__ == "__main__":
    typer.run(main)
