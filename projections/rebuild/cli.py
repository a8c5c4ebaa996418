"""ops-rebuild-projections: replay history into the read models, or check them against it."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from projections.database.database import AlreadyRunning, Database, DatabaseMisconfigured, DatabaseUnavailable
from projections.database.schema_revision import fault
from projections.onboarding import fingerprint, state
from projections.rebuild import rebuild, repair
from projections.rebuild.repair import retry_quarantined
from projections.rebuild.report import Report
from projections.rebuild.scan import WorkerLost
from projections.rebuild.verify import StageCounts, note_outcome, session_differences, verify, verify_sample
from projections.settings import BadSettings, DatabaseSettings, read

EXIT_DIFFERENCES: Final = 1
EXIT_UNUSABLE: Final = 2
EXIT_FAILED: Final = 3
EXIT_INTERRUPTED: Final = 130

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def _flag(name: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(name, help=text)
    return option


Verify = Annotated[bool, _flag("--verify", "Compare everything with the log; change nothing.")]
Sample = Annotated[int | None, typer.Option(min=1, help="With --verify: only so many sessions, at random.")]
DryRun = Annotated[bool, _flag("--dry-run", "Show what a rebuild would change; change nothing.")]
OneSession = Annotated[str | None, typer.Option(help="Only this session.")]
Retry = Annotated[bool, _flag("--retry-quarantined", "Fold the sessions with quarantined events again.")]
IfStale = Annotated[bool, _flag("--if-stale", "Rebuild only when the rows were built by older logic.")]
KeepGoing = Annotated[bool, _flag("--keep-going", "Quarantine events the fold raises on and go on.")]
Fingerprint = Annotated[bool, _flag("--fingerprint", "Print the fingerprint of today's logic.")]
AsJson = Annotated[bool, _flag("--json", "JSON lines for scripts.")]
Quiet = Annotated[bool, _flag("--quiet", "Print nothing but errors; with --json, no progress.")]


@app.command()
def run(
    verify_only: Verify = False,
    sample: Sample = None,
    dry_run: DryRun = False,
    session: OneSession = None,
    retry_quarantined: Retry = False,
    if_stale: IfStale = False,
    keep_going: KeepGoing = False,
    print_fingerprint: Fingerprint = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Replay the event log into the read models, without stopping ingest.

    Exit codes: 0 done, 1 differences or quarantined events, 2 wrong use or set-up, 3 failed, nothing changed.
    """
    modes = {
        "--verify": verify_only,
        "--dry-run": dry_run,
        "--session": session is not None,
        "--retry-quarantined": retry_quarantined,
        "--if-stale" if if_stale else "--keep-going": if_stale or keep_going,
        "--fingerprint": print_fingerprint,
    }
    _require_one_mode(modes, sample, session)
    if print_fingerprint:
        _print_fingerprint(as_json)
        return
    report = Report(as_json=as_json, quiet=quiet)
    with _existing_database() as database:
        if verify_only:
            _verify(database, report, sample)
        elif dry_run:
            _dry_run(database, report)
        elif session:
            _rebuild_session(database, report, session)
        elif retry_quarantined:
            _retry_quarantined(database, report)
        else:
            _rebuild(database, report, if_stale=if_stale, keep_going=keep_going)


def _print_fingerprint(as_json: bool) -> None:
    today = fingerprint.fingerprint()
    print(json.dumps({"fingerprint": today}) if as_json else today)


def _require_one_mode(modes: dict[str, bool], sample: int | None, session: str | None) -> None:
    given = [name for name, is_given in modes.items() if is_given]
    if len(given) > 1:
        raise typer.BadParameter(f"{given[0]} and {given[1]} do not go together")
    if sample and given != ["--verify"]:
        raise typer.BadParameter("--sample goes with --verify only")
    if session == "":
        raise typer.BadParameter("--session is empty; it takes the id of a session")


def main() -> None:
    """Run the command; every expected failure is one clear line."""
    os.umask(0o077)  # a database, its lock files and its backups are for this user alone
    try:
        app()
    except (BadSettings, DatabaseMisconfigured, AlreadyRunning) as error:
        _give_up(str(error), EXIT_UNUSABLE)
    except DatabaseUnavailable as error:
        _give_up(f"the database cannot be used right now: {error}", EXIT_FAILED)
    except (repair.RebuildFailed, WorkerLost) as error:
        _give_up(f"{error}. The rows are as they were.", EXIT_FAILED)
    except KeyboardInterrupt:  # before the command begins; then it is Typer's, which does the same
        sys.exit(EXIT_INTERRUPTED)


def _rebuild(database: Database, report: Report, *, if_stale: bool, keep_going: bool) -> None:
    if if_stale:
        with database.read() as connection:
            current = state.freshness(connection) == "current"
        if current:
            # An earlier rebuild may have been killed between its cutover and its tickets.
            repair.settle_tickets(database)
            report.result("The rows are built by today's logic; nothing to do.", result="current")
            return
    with report.progress() as progress:
        summary = rebuild.rebuild(database, progress, keep_going=keep_going)
    resumed = ", resuming an earlier rebuild" if summary.resumed else ""
    quarantined = f" Quarantined events: {summary.quarantined:,}." if summary.quarantined else ""
    report.result(
        f"Rebuilt {_counted(summary.sessions, 'session')} from {_counted(summary.events, 'event')}, up to"
        f" position {summary.position}{resumed}.{quarantined}",
        result="rebuilt",
        events=summary.events,
        sessions=summary.sessions,
        position=summary.position,
        resumed=summary.resumed,
        quarantined=summary.quarantined,
        fingerprint=fingerprint.fingerprint(),
    )
    if summary.quarantined:
        raise typer.Exit(EXIT_DIFFERENCES)


def _rebuild_session(database: Database, report: Report, session_id: str) -> None:
    if not repair.rebuild_session(database, session_id):
        _give_up(f"the log has no event of session {session_id}", EXIT_UNUSABLE)
    report.result(f"Rebuilt session {session_id}.", result="rebuilt", sessions=1)


def _retry_quarantined(database: Database, report: Report) -> None:
    retried, failures = retry_quarantined(database)
    report.result(
        f"Folded {_counted(retried, 'session')} again. Events that are still quarantined: {len(failures):,}.",
        result="retried",
        sessions=retried,
        quarantined=len(failures),
    )
    if failures:
        raise typer.Exit(EXIT_DIFFERENCES)


def _verify(database: Database, report: Report, sample: int | None) -> None:
    facts = {"sample": sample} if sample else {}
    with report.progress() as progress:
        for difference in verify_sample(database, sample) if sample else verify(database, progress):
            report.difference(difference)
    if not sample:
        _note(database, report.differences)
    if report.differences == 0:
        rows = "Every row of the sample" if sample else "Every row"
        report.result(f"{rows} is the fold of the log.", result="clean", differences=0, **facts)
        return
    text = f"{_counted(report.differences, 'difference')}. {_advice(report)} to mend them."
    report.result(text, result="differences", differences=report.differences, **facts)
    raise typer.Exit(EXIT_DIFFERENCES)


def _note(database: Database, differences: int) -> None:
    try:
        note_outcome(database, differences)
    except DatabaseUnavailable as error:  # a standby, or a role that may only read, can still compare
        print(f"ops-rebuild-projections: /readyz will not tell of this verify: {error}", file=sys.stderr)


def _dry_run(database: Database, report: Report) -> None:
    counts = StageCounts()
    changed = set()
    with report.progress() as progress:
        for difference in session_differences(database, progress, counts):
            changed.add(difference.subject)
            report.difference(difference)
    report.stages(counts)
    stopped = f" {_advice(report)}: without, it stops." if report.raising else ""
    report.result(
        f"A rebuild would change {_counted(len(changed), 'session')}. Nothing was changed.{stopped}",
        result="dry-run",
        sessions=len(changed),
        differences=report.differences,
        stages={"now": _named(counts.stored), "rebuilt": _named(counts.expected)},
    )


def _advice(report: Report) -> str:
    if report.raising:
        return "Mend the fold, or run ops-rebuild-projections --keep-going"
    return "Run ops-rebuild-projections"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _named(stages: dict[str | None, int]) -> dict[str, int]:
    return {stage or "": count for stage, count in stages.items()}


@contextmanager
def _existing_database() -> Iterator[Database]:
    with Database(read(DatabaseSettings).database_url, must_exist=True) as database:
        with database.read() as connection:
            if wrong := fault(connection):
                raise DatabaseMisconfigured(f"the database has {wrong}")
        yield database


def _give_up(text: str, code: int) -> None:
    print(f"ops-rebuild-projections: {text}", file=sys.stderr)
    sys.exit(code)
