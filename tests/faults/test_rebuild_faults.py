"""A rebuild killed at any step, with events coming in: the live tables are whole, and a rerun works."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from projections import rebuild, replay
from projections.database import AlreadyRunning, Database
from projections.tables import onboard_sessions, tickets
from tests.deliveries import delivery, session_rows, store
from tests.faults.rebuild_steps import CUTOVER_SESSIONS, RANGE_EVENTS, STEPS
from tests.faults.stored_events import opened, stored_ids
from tests.integration.test_rebuild import repeating, schema
from tests.property.logged_history import oracle_rows
from tests.rebuilds import KINDS, differences, fill, no_progress

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parents[2]

KILLS = int(os.environ.get("REBUILD_FAULTS", "10"))
"""Random kills on each database; CI does a few, REBUILD_FAULTS=100 the long run."""

MOMENTS = 400
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


def killed_rebuild(database_url: str, moment: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.rebuild_steps", moment],
        env={**os.environ, "OPS_DATABASE_URL": database_url},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, f"{moment!r} was not reached:\n{ended.stderr}"


def rerun(database: Database, monkeypatch: pytest.MonkeyPatch) -> rebuild.Summary:
    """Rebuild once more, waiting for the server to notice that the killed one has gone."""
    monkeypatch.setattr(replay, "RANGE_EVENTS", RANGE_EVENTS)
    monkeypatch.setattr(rebuild, "CUTOVER_SESSIONS", CUTOVER_SESSIONS)
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


def kill_and_rerun(
    database_url: str,
    moment: str,
    monkeypatch: pytest.MonkeyPatch,
    look: Callable[[Database], None],
) -> rebuild.Summary:
    """Kill a rebuild at the moment and check what it leaves; `look` is called before the rerun."""
    with opened(database_url) as database:
        fill(database)
        outdate(database)
        whole = schema(database)
        with ingest(database, "m") as acknowledged:
            killed_rebuild(database_url, moment)
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

    summary = kill_and_rerun(database_url, label, monkeypatch, look)
    assert summary.resumed == step.leaves_shadow


@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_anywhere(database_url: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = random.Random(seed).randint(1, MOMENTS)

    def look(database: Database) -> None:
        assert set(differences(database)) in (OUTDATED, {("quiet", "ticket")}, set())

    kill_and_rerun(database_url, str(moment), monkeypatch, look)
