"""The replay in processes of their own does what it does in one, and leaves none behind."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from projections.database.database import Database
from projections.database.tables import webhook_events
from projections.log import LOG, SessionRange
from projections.rebuild import rebuild, repair, scan
from tests.deliveries import session_rows
from tests.property.logged_history import oracle_rows
from tests.rebuilds import differences, fill, no_progress

ROOT = Path(__file__).resolve().parents[2]

HELD = """
import os, sys, time
from projections.rebuild import scan
from projections.database.database import Database
from tests.integration.test_replay import tell_who_works

if __name__ == "__main__":
    scan.LONG_LOG_EVENTS, scan.RANGE_EVENTS = 0, 1
    scan.os.cpu_count = lambda: 2
    for worker in scan.replay(Database(os.environ["OPS_DATABASE_URL"]), tell_who_works):
        print(worker, flush=True)
        time.sleep(60)
"""


def tell_who_works(_connection: Connection, _sessions: SessionRange) -> int:
    """The worker's process."""
    return os.getpid()


def tell_whether_ctrl_c_is_ignored(_connection: Connection, _sessions: SessionRange) -> bool:
    """In the worker."""
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def die(_connection: Connection, _sessions: SessionRange) -> None:
    """End the worker as the kernel does when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(autouse=True)
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "LONG_LOG_EVENTS", 0)
    monkeypatch.setattr(scan, "RANGE_EVENTS", 10)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def test_rows_and_differences_are_the_same(database: Database) -> None:
    fill(database)
    summary = rebuild.rebuild(database, no_progress)
    assert (summary.events, summary.sessions) == (90, 30)
    assert session_rows(database) == oracle_rows(database)
    assert differences(database) == []
    assert set(scan.replay(database, tell_who_works)).isdisjoint({os.getpid()})


@pytest.mark.parametrize("cores", [1, None])
def test_one_core_reads_alone(database: Database, monkeypatch: pytest.MonkeyPatch, cores: int | None) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    fill(database)
    assert set(scan.replay(database, tell_who_works)) == {os.getpid()}


@pytest.mark.parametrize("long_log", [0, 1_000_000], ids=["processes", "alone"])
def test_the_collector_rests_and_is_on_again(
    database: Database, monkeypatch: pytest.MonkeyPatch, long_log: int
) -> None:
    monkeypatch.setattr(scan, "LONG_LOG_EVENTS", long_log)
    fill(database)
    with closing(scan.replay(database, tell_who_works)) as parts:
        next(parts)
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_slow_asker_is_not_run_away_from(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read ahead lies in memory."""
    ranges, begun = scan._ranges, []

    def noted(database: Database, after: str) -> Iterator[SessionRange]:
        for each in ranges(database, after):
            begun.append(each)
            yield each

    monkeypatch.setattr(scan, "_ranges", noted)
    fill(database)
    with closing(scan.replay(database, tell_who_works)) as parts:
        next(parts)
        assert len(begun) <= 5
        assert len(list(parts)) + 1 == len(begun) > 5


def test_what_the_fold_raises_on_is_named_and_can_be_set_aside(database: Database) -> None:
    fill(database)
    with database.write() as connection:
        broken = update(webhook_events).where(LOG.session_id == "s4", LOG.event_type == "onboarding.failed")
        connection.execute(broken.values(payload='{"data":[]}'))
    before = session_rows(database)
    with pytest.raises(repair.RebuildFailed, match=r"onboarding\.failed, id .* of session s4"):
        rebuild.rebuild(database, no_progress)
    assert session_rows(database) == before
    assert rebuild.rebuild(database, no_progress, keep_going=True).quarantined == 1


def test_a_worker_that_dies_is_told(database: Database) -> None:
    fill(database)
    with pytest.raises(scan.WorkerLost, match="memory"):
        list(scan.replay(database, die))


@pytest.mark.timeout(30)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_worker_that_dies_while_another_starts_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The pool has noticed, and does not know the one that starts: nobody may wait for that."""
    start = ForkServerProcess.start

    def with_a_death(process: ForkServerProcess) -> None:
        others = multiprocessing.active_children()
        if moment == "after":
            start(process)
        for other in others:
            other.kill()
            time.sleep(0.5)
        if moment == "before":
            start(process)

    monkeypatch.setattr(ForkServerProcess, "start", with_a_death)
    fill(database)
    with pytest.raises(scan.WorkerLost, match="memory"):
        list(scan.replay(database, tell_who_works))
    assert multiprocessing.active_children() == []


def test_workers_die_with_a_parent_that_is_killed(database: Database, database_url: str) -> None:
    fill(database)
    with subprocess.Popen(
        [sys.executable, "-c", HELD],
        stdout=subprocess.PIPE,
        env={**os.environ, "OPS_DATABASE_URL": database_url},
        cwd=ROOT,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 20
    while is_running(worker):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.02)


def test_no_folder_for_temporary_files_is_no_hindrance(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fork server's socket needs one. Here there are several, always."""

    def refuse() -> None:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(forkserver, "ensure_running", refuse)
    fill(database)
    assert set(scan.replay(database, tell_who_works)).isdisjoint({os.getpid()})


def test_ctrl_c_is_for_the_parent_alone(database: Database) -> None:
    """A terminal sends it to every process; one line is enough."""
    fill(database)
    assert set(scan.replay(database, tell_whether_ctrl_c_is_ignored)) == {True}
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def is_running(pid: int) -> bool:
    """False for a zombie, too: here nobody collects orphans."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
