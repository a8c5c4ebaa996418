"""A rebuild killed at any step, with events coming in: the live tables are whole, and a rerun works."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import delete, update

from projections.database.database import AlreadyRunning, Database
from projections.database.tables import onboard_sessions, tickets
from projections.rebuild import rebuild, repair, scan
from projections.rebuild.cli import EXIT_FAILED
from tests.deliveries import delivery, session_rows, store
from tests.faults.rebuild_steps import CUTOVER_SESSIONS, POOLED_STEPS, RANGE_EVENTS, STEPS
from tests.faults.stored_events import stored_ids
from tests.integration.test_rebuild import repeating, schema
from tests.integration.test_replay import is_running
from tests.property.logged_history import oracle_rows
from tests.rebuilds import KINDS, differences, fill, no_progress
from tests.servers import forked
from tests.sizes import size

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parents[2]

KILLS = int(os.environ.get("REBUILD_FAULTS", size(brief=3, long=20)))
"""Random kills on each database."""

POOLED_SESSIONS = 120
"""Enough that ranges are still waiting to be read when the third one has been written."""

MOMENTS = 440
"""A rebuild of the test log passes about so many moments."""

OUTDATED = {("quiet", "domain"), ("quiet", "ticket")}
"""What is wrong before the rebuild, and mended by it: the row at the cutover, then the ticket."""


@contextmanager
def ingest(database: Database, name: str) -> Iterator[list[str]]:
    """Events keep coming in, some of them late; gives the ids of those that are committed.

    Every other one is its session's only event, so that none can be missed unseen.
    """
    acknowledged: list[str] = []
    numbers = count()

    def send() -> None:
        number = next(numbers)
        late = delivery(
            KINDS[number % len(KINDS)], f"s{number % 37}", -number, event_id=f"{name}-late-{number}"
        )
        new = delivery("account.created", f"{name}{number}", number)
        acknowledged.extend(receipt.event_id for receipt in store(database, late, new))
        time.sleep(0.005)

    with repeating(send):
        yield acknowledged


def outdate(database: Database) -> None:
    """Make one session's row and ticket wrong; no event comes for it any more."""
    store(database, delivery("onboarding.failed", "quiet", domain="right.pt"))
    with database.write() as connection:
        wrong = update(onboard_sessions).where(onboard_sessions.c.session_id == "quiet")
        connection.execute(wrong.values(domain="wrong.pt"))
        connection.execute(delete(tickets).where(tickets.c.session_id == "quiet"))


def stepped_rebuild(database_url: str, *how: str) -> subprocess.CompletedProcess[str]:
    # Killed, its fork server's socket stays where temporary files are.
    with TemporaryDirectory() as scratch:
        environment = {**os.environ, "OPS_DATABASE_URL": database_url, "TMPDIR": scratch}
        return forked.run("tests.faults.rebuild_steps", how, environment, ROOT)


def killed_rebuild(database_url: str, *how: str) -> list[int]:
    """The processes below the rebuild's when it was killed."""
    ended = stepped_rebuild(database_url, *how)
    assert ended.returncode == -signal.SIGKILL, f"{how} was not reached:\n{ended.stderr}"
    return [int(pid) for pid in ended.stdout.split()]


def wait_for_the_end(processes: list[int]) -> None:
    deadline = time.monotonic() + 20
    while alive := [pid for pid in processes if is_running(pid)]:
        assert time.monotonic() < deadline, f"{alive} outlived their rebuild"
        time.sleep(0.02)


def rerun(database: Database, monkeypatch: pytest.MonkeyPatch) -> rebuild.Summary:
    """Rebuild once more, waiting for the server to notice that the killed one has gone."""
    monkeypatch.setattr(scan, "RANGE_EVENTS", RANGE_EVENTS)
    monkeypatch.setattr(rebuild, "CUTOVER_SESSIONS", CUTOVER_SESSIONS)
    monkeypatch.setattr(repair, "TOGETHER", CUTOVER_SESSIONS)
    for _ in range(100):
        try:
            return rebuild.rebuild(database, no_progress)
        except AlreadyRunning:
            time.sleep(0.05)
    raise AssertionError("the killed rebuild still holds its lock")


def without_shadows(found: list[object]) -> list[object]:
    return [each for each in found if "_shadow" not in str(each)]


def wait_for_more(acknowledged: list[str]) -> None:
    enough = len(acknowledged) + 6
    deadline = time.monotonic() + 20
    while len(acknowledged) < enough:
        assert time.monotonic() < deadline, "ingest stands still"
        time.sleep(0.01)


def harm_and_rerun(
    database_url: str,
    harmed: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
    look: Callable[[Database], None],
    sessions: int = 30,
) -> rebuild.Summary:
    """Start a rebuild that comes to harm and check what it leaves; `look` is called before the rerun."""
    with Database(database_url) as database:
        fill(database, sessions)
        outdate(database)
        whole = schema(database)
        with ingest(database, "m") as acknowledged:
            harmed()
            wait_for_more(acknowledged)
        assert set(acknowledged) <= stored_ids(database_url)
        assert without_shadows(schema(database)) == whole
        look(database)
        with ingest(database, "t") as more:
            wait_for_more(more)
            summary = rerun(database, monkeypatch)
            wait_for_more(more)
        assert differences(database) == []
        assert session_rows(database) == oracle_rows(database)
        assert {*acknowledged, *more} <= stored_ids(database_url)
        assert schema(database) == whole
    return summary


@pytest.mark.parametrize("label", STEPS)
def test_killed_at_each_step(database_url: str, label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    step = STEPS[label]
    mended = {"domain"} if step.is_cut_over else set()
    mended |= {"ticket"} if step.has_tickets else set()
    wrong = {(subject, field) for subject, field in OUTDATED if field not in mended}

    def look(database: Database) -> None:
        assert set(differences(database)) == wrong

    summary = harm_and_rerun(database_url, lambda: killed_rebuild(database_url, label), monkeypatch, look)
    assert summary.resumed == step.leaves_shadow


@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_anywhere(database_url: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = random.Random(seed).randint(1, MOMENTS)

    def look(database: Database) -> None:
        assert set(differences(database)) in (OUTDATED, {("quiet", "ticket")}, set())

    harm_and_rerun(database_url, lambda: killed_rebuild(database_url, str(moment)), monkeypatch, look)


@pytest.fixture
def pooled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rerun, too, has processes that read the log."""
    monkeypatch.setattr(scan, "LONG_LOG_EVENTS", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def look_outdated(database: Database) -> None:
    assert set(differences(database)) == OUTDATED


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize("label", POOLED_STEPS)
def test_killed_with_processes_that_read(
    database_url: str, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill() -> None:
        below = killed_rebuild(database_url, label, "pooled")
        # Two are not for reading: the fork server, and multiprocessing's own tracker of resources.
        assert (len(below) > 2) == (label != "replayed"), "the rebuild had no processes, or has kept them"
        wait_for_the_end(below)

    assert harm_and_rerun(database_url, kill, monkeypatch, look_outdated, POOLED_SESSIONS).resumed


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize("label", [label for label in POOLED_STEPS if label != "replayed"])
def test_a_reading_process_is_killed(database_url: str, label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose() -> None:
        ended = stepped_rebuild(database_url, label, "loses-worker")
        wait_for_the_end([int(pid) for pid in ended.stdout.split()])
        assert ended.returncode == EXIT_FAILED, ended.stderr
        assert ended.stderr == (
            "ops-rebuild-projections: a process that read the log has died, perhaps because memory was short;"
            " run the command again. The rows are as they were.\n"
        )

    assert harm_and_rerun(database_url, lose, monkeypatch, look_outdated, POOLED_SESSIONS).resumed
