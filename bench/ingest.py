"""How fast signed events become durable, against other ways on the same machine in the same minutes.

One event per request: (a) a no-op route of the same app, (b) our ingress as `ops-service serve` runs it,
(c) FastAPI with a SQLAlchemy session and a commit per request, (d) our ingress committing each delivery by
itself. Then batches of 100 against a bare `executemany` of the very rows that they left
in the log, and of these with the rows of their sessions.
"""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import Connection, func, select

from bench import peers, rebuild_command
from bench.measure import Bar, Figure, Report, alternate, ratio, seconds, sync_milliseconds
from bench.servers import OURS, Contestant, Sample, peer, serving
from ops_service.ingress.routes import BATCH_PATH, PATH
from projections.database.bulk import run_many
from projections.database.database import Database
from projections.database.tables import onboard_sessions, webhook_events
from projections.log import LOG, head
from projections.onboarding import rows, sessions

BATCH: Final = 100
BATCH_CONNECTIONS: Final = 8

LogRows = Sequence[tuple[Any, ...]]
SessionRows = Sequence[rows.Row]
Batches = Sequence[tuple[LogRows, SessionRows]]

SESSION_ID: Final = list(webhook_events.columns).index(LOG.session_id)

NO_OP: Final = "(a) no-op route"
OURS_DURABLE: Final = "(b) our ingress"
PLAIN: Final = "(c) session and commit per request"
COMMIT_EACH: Final = "(d) our ingress, commit per request"


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    run_seconds: Annotated[float, typer.Option(min=0.5)] = 3.0,
    connections: Annotated[int, typer.Option(min=1)] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure ingest; every figure is the median of the rounds."""
    report = Report(f"Ingest, SQLite, synchronous=FULL, {connections} connections")
    report.notes.append(f"a durable write of 4 KiB takes this disk {sync_milliseconds():.2f} ms")
    with tempfile.TemporaryDirectory(prefix="ops-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        contestants = _start(folder, stack)
        runs = {
            name: partial(one.run, path, run_seconds, connections)
            for name, (one, path) in contestants.items()
        }
        _judge_single(report, alternate(runs, rounds))
        _judge_batches(report, folder, contestants[OURS_DURABLE][0], rounds, run_seconds)
        for name in (OURS_DURABLE, PLAIN, COMMIT_EACH):
            _require_every_acknowledged(contestants[name][0])
        _require_true_rows(contestants[OURS_DURABLE][0])
    report.show(as_json)


def _start(folder: Path, stack: ExitStack) -> dict[str, tuple[Contestant, str]]:
    """The servers, and the path of each that the load goes to."""

    def start(name: str, command: list[str]) -> Contestant:
        database = Database(f"sqlite:///{folder / name}.sqlite3")
        stack.callback(database.dispose)
        return stack.enter_context(serving(database, command))

    return {
        NO_OP: (start("no-op", peer("no-op")), peers.NO_OP),
        OURS_DURABLE: (start("ours", OURS), PATH),
        PLAIN: (start("plain", peer("plain")), peers.PLAIN),
        COMMIT_EACH: (start("commit-each", peer("commit-each")), PATH),
    }


def _judge_single(report: Report, samples: dict[str, list[Sample]]) -> None:
    rates = {name: [sample.per_second for sample in runs] for name, runs in samples.items()}
    for name, runs in samples.items():
        report.figures.append(Figure(name, "requests/s", rates[name]))
        report.figures.append(Figure("    p50", "ms", [run.p50_ms for run in runs]))
        report.figures.append(Figure("    p99", "ms", [run.p99_ms for run in runs]))
        report.figures.append(Figure("    server's CPU", "µs/request", [run.cpu_us for run in runs]))
        refused = sum(
            count for sample in runs for status, count in sample.statuses.items() if status[0] != "2"
        )
        if refused:
            report.notes.append(f"{name}: {refused} requests were not answered 2xx and are not counted")
    ours = rates[OURS_DURABLE]
    report.bars += [
        Bar("(b) to (d), commit per request", ratio(ours, rates[COMMIT_EACH]), ">=", 3),
        Bar("(b) to (a), no-op", ratio(ours, rates[NO_OP]), ">=", 0.5),
        Bar("(b) to (c), session per request", ratio(ours, rates[PLAIN]), ">=", 10),
        Bar("(b) p99", Figure("", "", [run.p99_ms for run in samples[OURS_DURABLE]]).median, "<=", 25, "ms"),
    ]


def _judge_batches(report: Report, folder: Path, ours: Contestant, rounds: int, run_seconds: float) -> None:
    """Each round sends batches, then writes the rows they left, as they are, to databases beside: those
    of the log alone, and with those of the sessions in the same commits.

    They begin as copies of ours and so grow alike: the larger the indexes, the more pages a commit writes.
    """
    bare, written = _copy(ours.database, folder / "bare.sqlite3")
    both, _ = _copy(ours.database, folder / "both.sqlite3")

    def send() -> Sample:
        return ours.run(BATCH_PATH, run_seconds, BATCH_CONNECTIONS, batch=BATCH, most=700)

    def left() -> Batches:
        """What the last run of load left, in batches: the log's rows, and those of their sessions."""
        nonlocal written
        with ours.database.read() as connection:
            query = select(webhook_events).where(LOG.position > written).order_by(LOG.position)
            rows = [tuple(row) for row in connection.execute(query)]
            written = rows[-1][0]
            batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
            return [(batch, _sessions_of(connection, batch)) for batch in batches]

    samples, floor, floor_both = [], [], []
    for _ in range(rounds):  # not alternated the other way round: the rows must be there first
        samples.append(send())
        batches = left()
        floor.append(_bare_rate(bare, [(log, []) for log, _ in batches]))
        floor_both.append(_bare_rate(both, batches))
    bare.dispose()
    both.dispose()
    sent = [BATCH * sample.per_second for sample in samples]
    report.figures += [
        Figure(f"batches of {BATCH}, {BATCH_CONNECTIONS} connections", "events/s", sent),
        Figure("    server's CPU", "µs/event", [sample.cpu_us / BATCH for sample in samples]),
        Figure(f"bare executemany, {BATCH} per commit", "events/s", floor),
        Figure("    the sessions' rows, too", "events/s", floor_both),
    ]
    report.bars += [
        Bar("batches to bare executemany", ratio(sent, floor), ">=", 0.6),
        Bar("batches to it with the sessions' rows", ratio(sent, floor_both), ">=", 0.6),
    ]


def _copy(database: Database, path: Path) -> tuple[Database, int]:
    """A copy of the whole database, page by page, and the last position in it."""
    with database.read() as connection, closing(sqlite.connect(path)) as copy:
        position = head(connection)
        connection.connection.driver_connection.backup(copy)  # type: ignore[union-attr]
    return Database(f"sqlite:///{path}"), position


def _sessions_of(connection: Connection, log: LogRows) -> SessionRows:
    states = sessions.load(connection, sorted({row[SESSION_ID] for row in log})).values()
    return [rows.to_row(state) for state in states]


def _bare_rate(database: Database, batches: Batches) -> float:
    return sum(len(log) for log, _ in batches) / seconds(lambda: _write_bare(database, batches))


def _write_bare(database: Database, batches: Batches) -> None:
    places = ", ".join("?" * len(webhook_events.columns))
    insert = f"INSERT INTO webhook_events VALUES ({places})"
    for log, of_sessions in batches:
        with database.write() as connection:
            run_many(connection, insert, log)
            sessions.upsert(connection, of_sessions, onboard_sessions)


def _require_every_acknowledged(contestant: Contestant) -> None:
    """The log holds exactly what was answered with 2xx: a rate of anything else would be worthless."""
    with contestant.database.read() as connection:
        stored = connection.execute(select(func.count()).select_from(webhook_events)).scalar_one()
    assert stored == sum(contestant.acknowledged), (stored, contestant.acknowledged)


def _require_true_rows(contestant: Contestant) -> None:
    """The rows that came of the load are the fold of its events; the command fails when they are not."""
    rebuild_command.run(contestant.database.url.render_as_string(), "--verify")


if __name__ == "__main__":
    typer.run(main)
