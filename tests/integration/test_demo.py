"""`make demo`: its three days hold what the desk has to show; it starts, goes on and ends."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from portal_hooks.instants import now_instant
from projections.database.database import Database
from scripts.demo import fill
from scripts.demo_traffic import FAST_PORTAL, PORTAL, Arrival, three_days
from tests.rebuilds import differences
from tests.running_ops import running_ops
from tests.servers.process import free_port

ROOT = Path(__file__).resolve().parents[2]


def until(seen: Callable[[], Any], seconds: float = 40) -> Any:
    """What `seen` returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found


def last_event(url: str) -> str:
    """When the service at this address received its last event."""
    return str(httpx.get(f"{url}/readyz").json()["last_event_at"])


def test_the_days_hold_what_the_desk_has_to_show(sqlite_url: str) -> None:
    asyncio.run(fill(sqlite_url))
    with running_ops(sqlite_url) as ops:
        funnel = ops.get("/api/v1/onboard/funnel", hours=72)
        for standing in ("active", "stalled", "failed"):
            assert sum(step[standing] for step in funnel["steps"]) > 0, standing
        assert len(funnel["failures"]) >= 4
        tickets = {
            status: ops.get("/api/v1/desk/tickets", status=status)["total"]
            for status in ("open", "in_progress", "resolved", "closed")
        }
        assert min(tickets.values()) > 3, tickets
        refused = ops.get("/api/v1/rejected-deliveries")["rejected"]
        assert sorted(one["status"] for one in refused) == [409, 422]
        late = ops.get("/api/v1/onboard/sessions", state="stalled", furthest="account_created")
        assert late["sessions"][0]["ticket_id"] is not None
    database = Database(sqlite_url)
    assert differences(database) == []
    with database.read() as connection:
        told = "SELECT count(*) FROM webhook_events WHERE "
        for strange in (
            "received_at - occurred_at > 600000000",  # late, after the outage
            "occurred_at > effective_at",  # a clock that ran ahead
            "event_type = 'dns.checked'",
        ):
            assert connection.exec_driver_sql(told + strange).scalar_one() > 3, strange
    database.dispose()


def test_the_days_are_the_same_each_time_but_for_the_clock() -> None:
    now = now_instant()
    first, again = list(three_days(now)), list(three_days(now))
    assert first == again
    assert {one.source for one in first if isinstance(one, Arrival)} == {PORTAL, FAST_PORTAL}
    sent = [one.envelope["event_id"] for one in first if isinstance(one, Arrival)]
    assert len(sent) - len(set(sent)) > 20  # sent twice
    assert all(one.at <= now for one in first)
    later = list(three_days(now + 1_000_000))
    assert [one.at + 1_000_000 for one in first] == [one.at for one in later]


@contextmanager
def started(folder: Path, *command: str) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    """A command that serves, run in the folder; where it serves, and what it says."""
    ports = {"OPS_PORT": str(free_port()), "PORTAL_PORT": str(free_port())}
    (folder / "scratch").mkdir()
    surroundings = {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "scratch"), **ports}
    log = folder / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=os.environ | surroundings,
            stdout=said,
            stderr=said,
        )
    try:
        yield process, f"http://127.0.0.1:{ports['OPS_PORT']}", log
    finally:
        process.kill()
        process.wait()


def test_it_goes_on_until_it_is_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    with started(tmp_path, "scripts.demo") as (process, url, log):
        until(lambda: f"Desk     {url}" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        filled_until = last_event(url)
        until(lambda: last_event(url) > filled_until)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert "Traceback" not in log.read_text()
    assert list((tmp_path / "scratch").iterdir()) == []
    with pytest.raises(httpx.TransportError):
        httpx.get(url)
