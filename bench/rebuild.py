"""How fast the read models are built anew from a long log, by the command an operator runs.

Beside it, on the same rows: fetching them all without doing anything (nothing that runs in Python can be
faster), and one `INSERT … SELECT … GROUP BY` that counts a little of what the fold does, inside SQLite.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer
from sqlalchemy import select, text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import event_log
from bench.measure import Bar, Figure, Report, alternate, ratio, seconds
from bench.rebuild_command import Run, run
from projections.database import Database
from projections.log import LOG

MEGABYTE: Final = 1_000_000

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
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure the rebuild; every figure is the median of the rounds."""
    with tempfile.TemporaryDirectory(prefix="ops-bench-") as scratch:
        folder = keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        report = Report(f"Rebuild of {events:,} events, SQLite")
        url = event_log.cached(folder, f"history-{events}", lambda: event_log.history(events))
        database = Database(url)
        report.notes.append("{:,} events, {:,} sessions".format(*event_log.counts(database)))
        first = _rebuild(url)
        report.notes.append(f"the first build, which opens every ticket, took {first.seconds:.1f} s")
        runs: list[Run] = []
        contestants: dict[str, Callable[[], float]] = {
            "ops-rebuild-projections": lambda: _timed_rebuild(url, runs),
            "raw scan": lambda: seconds(lambda: _scan(database)),
            "INSERT … SELECT … GROUP BY": lambda: _group(database),
        }
        _judge(report, events, alternate(contestants, rounds), runs)
        _judge_verify(report, url)
        database.dispose()
    report.show(as_json)


def _judge(report: Report, events: int, samples: dict[str, list[float]], runs: list[Run]) -> None:
    for name, times in samples.items():
        report.figures.append(Figure(name, "events/s", [events / taken for taken in times]))
    inside = Figure("    by its own clock", "events/s", [events / one.last["seconds"] for one in runs])
    memory = Figure("    peak memory", "MB", [one.peak_bytes / MEGABYTE for one in runs])
    report.figures[1:1] = [inside, memory]
    ours, scan, grouped = samples.values()
    report.bars += [
        Bar("rebuild", report.figures[0].median, ">=", 100_000, "events/s"),
        Bar("rebuild, later bar", report.figures[0].median, ">=", 200_000, "events/s"),
        Bar("rebuild's time to the raw scan's", ratio(ours, scan), "<=", 3),
        Bar("peak memory", max(memory.samples), "<=", 300, "MB"),
    ]
    report.notes.append(f"the rebuild takes {ratio(ours, grouped):.1f} times the GROUP BY's time")


def _judge_verify(report: Report, url: str) -> None:
    verified = run(url, "--verify")
    report.notes.append(f"--verify took {verified.seconds:.1f} s, {verified.peak_bytes / MEGABYTE:.0f} MB")
    report.bars.append(Bar("differences found by --verify", verified.last["differences"], "<=", 0))


def _timed_rebuild(url: str, runs: list[Run]) -> float:
    runs.append(_rebuild(url))
    return runs[-1].seconds


def _rebuild(url: str) -> Run:
    done = run(url)
    assert done.last["result"] == "rebuilt", done.last
    return done


def _scan(database: Database) -> None:
    columns = (LOG.position, LOG.session_id, LOG.effective_at, LOG.event_id, LOG.source, LOG.event_type)
    query = str(select(*columns, LOG.domain, LOG.payload))
    with database.read() as connection:
        cursor = connection.exec_driver_sql(query).cursor
        assert cursor is not None
        while cursor.fetchmany(10_000):
            pass


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
