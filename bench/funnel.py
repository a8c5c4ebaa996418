"""The funnel's price: over a long history, against the JSON aggregate it replaces, and against a short one.

The window of 48 hours holds one percent of the events. What is timed of the funnel is its whole answer over
HTTP; the aggregate only counts sessions by stage and is timed inside the database alone.
"""

import statistics
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer
from sqlalchemy import TextClause, text

from bench import event_log, rebuild_command
from bench.measure import Bar, Figure, Report, alternate, ratio, seconds
from bench.servers import OURS, serving
from bench.wizard_traffic import Moment
from ops_service.auth import tokens
from ops_service.principals import SERVER
from portal_hooks.instants import format_instant, now_instant
from projections.database.database import Database

FUNNEL: Final = "/api/v1/onboard/funnel"
REQUESTS: Final = 20
"""Asked so many times in a round; the round's figure is their median."""

# The papers' R1: no session table, the stage is the last event's, everything is read out of the payload.
_R1 = """
SELECT event_type, count(*) FROM (
  SELECT json_extract(payload, '$.event_type') AS event_type, json_extract(payload, '$.occurred_at') AS at,
         row_number() OVER (PARTITION BY json_extract(payload, '$.session_id')
                            ORDER BY json_extract(payload, '$.occurred_at') DESC) AS age
  FROM webhook_events WHERE {events})
WHERE age = 1 AND at >= :since_text GROUP BY event_type
"""
R1: Final = text(_R1.format(events="true"))
R1_WINDOW_FIRST: Final = text(_R1.format(events="json_extract(payload, '$.occurred_at') >= :since_text"))
R1_BY_COLUMN: Final = text(_R1.format(events="received_at >= :since"))
"""As the papers have no such column: the window is cut before any JSON is read."""


def main(
    events: Annotated[int, typer.Option(min=10_000)] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    keep: Annotated[Path | None, typer.Option(help="Keep the databases here for the next run.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure the funnel; every figure is the median of the rounds."""
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="ops-bench-"))
        folder = keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        report = Report(f"Funnel of 48 hours over {events:,} events, SQLite")
        long = _projected(folder, f"history-{events}", lambda: event_log.history(events))
        since = event_log.window_start(long)
        short = _projected(folder, f"window-{events}", lambda: _window_only(events, since))
        report.notes += [_describe("long history", long), _describe("short history", short)]
        contestants = {
            "funnel over the long history": _ask(stack, long, since),
            "funnel over the short history": _ask(stack, short, since),
            "R1": lambda: _aggregate(long, R1, since),
            "R1, only the window's events": lambda: _aggregate(long, R1_WINDOW_FIRST, since),
            "R1, the same by a plain column": lambda: _aggregate(long, R1_BY_COLUMN, since),
        }
        _judge(report, alternate(contestants, rounds))
    report.show(as_json)


def _judge(report: Report, samples: dict[str, list[float]]) -> None:
    for name, times in samples.items():
        report.figures.append(Figure(name, "ms", [taken * 1000 for taken in times]))
    long, short, whole, *tuned = samples.values()
    for name, times in zip(list(samples)[3:], tuned, strict=True):
        report.notes.append(f"{name}: {ratio(times, long):.0f} times the funnel's time")
    report.bars += [
        Bar("R1's time to the funnel's", ratio(whole, long), ">=", 100),
        Bar("long history to short", ratio(long, short), "<=", 1.3),
    ]


def _window_only(events: int, since: int) -> list[Moment]:
    """The same window without the history before it: all events of the sessions that are active in it."""
    # No session lasts a tenth as long as the window; what lies further back cannot reach into it.
    recent = [moment for moment in event_log.history(events) if moment.at >= since - event_log.WINDOW]
    active = {moment.session_id for moment in recent if moment.at >= since}
    return [moment for moment in recent if moment.session_id in active]


def _projected(folder: Path, name: str, events: Callable[[], Iterable[Moment]]) -> Database:
    database = Database(event_log.cached(folder, name, events))
    with database.read() as connection:
        empty = connection.execute(text("SELECT NOT EXISTS (SELECT 1 FROM onboard_sessions)")).scalar()
    if empty:
        rebuild_command.run(database.url.render_as_string())
    return database


def _describe(name: str, database: Database) -> str:
    events, sessions = event_log.counts(database)
    return f"{name}: {events:,} events, {sessions:,} sessions"


def _aggregate(database: Database, query: TextClause, since: int) -> float:
    bounds = {"since": since, "since_text": format_instant(since)}
    with database.read() as connection:
        return seconds(lambda: connection.execute(query, bounds).all())


def _ask(stack: ExitStack, database: Database, since: int) -> Callable[[], float]:
    """Ask a service on this database; the median of some answers."""
    server = stack.enter_context(serving(database, OURS))
    with database.write() as connection:
        token = tokens.create(connection, f"bench-{now_instant()}", "read", SERVER, now_instant())
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{server.port}", headers={"Authorization": f"Bearer {token}"}
    )
    stack.enter_context(closing(client))

    def ask() -> None:
        answer = client.get(FUNNEL, params={"since": format_instant(since)})
        assert answer.json()["total"] > 0, answer.text

    return lambda: statistics.median(seconds(ask) for _ in range(REQUESTS))


if __name__ == "__main__":
    typer.run(main)
