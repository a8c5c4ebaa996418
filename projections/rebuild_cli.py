"""ops-rebuild-projections: replay history into the read models, or check them against it."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from projections import fingerprint, rebuild
from projections.database import (
    AlreadyRunning,
    Database,
    DatabaseMisconfigured,
    DatabaseUnavailable,
)
from projections.migrate import is_current
from projections.settings import DatabaseSettings

EXIT_DIFFERENCES = 1
EXIT_UNUSABLE = 2
EXIT_FAILED = 3
SHOWN_DIFFERENCES = 50

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Report:
    """Says what happens, for a person or for a script."""

    def __init__(self, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.started = time.monotonic()
        self.console = Console(stderr=True, quiet=quiet, highlight=False)

    @contextmanager
    def progress(self) -> Iterator[rebuild.Progress]:
        """A progress callback: a bar for people, lines for scripts, nothing when quiet."""
        if self.as_json:
            yield self._progress_lines
            return
        columns = (
            TextColumn("{task.description:8}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} events  {task.fields[rate]:>9,.0f}/s"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task("replay", total=0, rate=0)

            def show(phase: str, done: int, total: int) -> None:
                rate = done / max(time.monotonic() - self.started, 0.001)
                bar.update(task, description=phase, completed=done, total=total, rate=rate)

            yield show

    def result(self, text: str, **facts: Any) -> None:
        """The last word: a sentence, or one JSON object."""
        seconds = round(time.monotonic() - self.started, 3)
        if self.as_json:
            print(json.dumps({**facts, "seconds": seconds}))
        elif not self.quiet:
            print(f"{text} ({seconds:.1f} s)")

    def difference(self, difference: rebuild.Difference) -> None:
        """One field that is not what the log says."""
        if self.as_json:
            print(json.dumps({"difference": difference._asdict()}))
        elif not self.quiet:
            session_id, field, stored, expected = difference
            print(f"session {session_id}: {field} is {stored!r}, the log says {expected!r}")

    def _progress_lines(self, phase: str, done: int, total: int) -> None:
        if not self.quiet:
            print(json.dumps({"phase": phase, "done": done, "total": total}), flush=True)


@app.command()
def main_command(
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Compare every row with the log; change nothing."),
    ] = False,
    session: Annotated[str | None, typer.Option("--session", help="Only this session.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines for scripts.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Replay the event log into onboard_sessions, without stopping ingest.

    Exit codes: 0 done, 1 --verify found differences, 2 wrong use or set-up, 3 failed (nothing was changed).
    """
    if verify and session:
        raise typer.BadParameter("--verify checks all sessions; leave out --session")
    report = Report(as_json, quiet)
    database = Database(DatabaseSettings().database_url)
    try:
        _require_schema(database)
        if verify:
            _verify(database, report)
        elif session:
            _rebuild_session(database, session, report)
        else:
            _rebuild(database, report)
    finally:
        database.dispose()


def main() -> None:
    """Run the command; every expected failure is one clear line."""
    try:
        app()
    except (DatabaseMisconfigured, AlreadyRunning) as error:
        _give_up(str(error), EXIT_UNUSABLE)
    except DatabaseUnavailable as error:
        _give_up(f"the database cannot be used right now: {error}", EXIT_FAILED)
    except rebuild.RebuildFailed as error:
        _give_up(f"{error}. The rows are as they were.", EXIT_FAILED)


def _rebuild(database: Database, report: Report) -> None:
    with report.progress() as progress:
        summary = rebuild.rebuild(database, progress)
    report.result(
        f"Rebuilt {summary.sessions:,} sessions from {summary.events:,} events,"
        f" up to position {summary.position}.",
        result="rebuilt",
        events=summary.events,
        sessions=summary.sessions,
        position=summary.position,
        fingerprint=fingerprint.fingerprint(),
    )


def _rebuild_session(database: Database, session_id: str, report: Report) -> None:
    if not rebuild.rebuild_session(database, session_id):
        _give_up(f"the log has no event of session {session_id}", EXIT_UNUSABLE)
    report.result(f"Rebuilt session {session_id}.", result="rebuilt", sessions=1)


def _verify(database: Database, report: Report) -> None:
    count = 0
    with report.progress() as progress:
        for difference in rebuild.verify(database, progress):
            count += 1
            if report.as_json or count <= SHOWN_DIFFERENCES:
                report.difference(difference)
    if count == 0:
        report.result("Every row is the fold of the log.", result="clean", differences=0)
        return
    mend = "Run ops-rebuild-projections to mend them."
    report.result(f"{count:,} differences. {mend}", result="differences", differences=count)
    raise typer.Exit(EXIT_DIFFERENCES)


def _require_schema(database: Database) -> None:
    with database.read() as connection:
        if not is_current(connection):
            raise DatabaseMisconfigured(
                "the database's schema is not current; start `ops-service serve` or run"
                " `ops-service migrate` first"
            )


def _give_up(text: str, code: int) -> None:
    print(f"ops-rebuild-projections: {text}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
