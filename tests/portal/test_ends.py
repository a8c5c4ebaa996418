"""However a portal's process ends, what emit returned from reaches a real Ops: once in effect, in order."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.portal.portals import deliver_the_rest, ingress, run_portal, stored
from tests.running_ops import RunningOps
from tests.servers.process import free_port
from tests.servers.unreliable_proxy import unreliable_proxy

KILLS = int(os.environ.get("PORTAL_KILLS", "40"))
"""More for a longer run: the claim in docs/portal.md is about 200."""


def test_kill_9_loses_nothing_at_a_fifth_of_failures(ops: RunningOps, spool: Path) -> None:
    with unreliable_proxy(ops.url, seed=KILLS) as proxy:
        sessions, _, _ = run_portal(ingress(proxy.url), spool, "kill-rounds", str(KILLS), "1")
        deliver_the_rest(ingress(proxy.url), spool)
    assert len({name.split("-")[0] for name in sessions}) >= 0.75 * KILLS
    assert sum(proxy.spoiled.values()) > 10
    assert proxy.spoiled["lost answer"] + proxy.spoiled["503"] > 0
    arrived = stored(ops)
    lost = extra = 0
    for session_id, ids in sessions.items():
        lost += len(set(ids) - set(arrived[session_id]))
        # Between the write and the report of it there may be one more, and it is the last.
        assert arrived[session_id][: len(ids)] == ids
        extra += len(arrived[session_id]) - len(ids)
    assert lost == 0
    assert extra <= KILLS
    events = sum(map(len, sessions.values()))
    print(f"{KILLS} kills, {events} emits returned, {lost} lost, {extra} more, {dict(proxy.spoiled)}")


@pytest.mark.parametrize("ending", ["return", "exit-at-once", "SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("is_up", [True, False], ids=["ops up", "ops down"])
def test_every_end_of_a_process_loses_nothing(ops: RunningOps, spool: Path, ending: str, is_up: bool) -> None:
    url = ops.url if is_up else f"http://127.0.0.1:{free_port()}"
    sessions, code, _ = run_portal(ingress(url), spool, "end-by", ending)
    assert code == (-getattr(signal, ending) if ending.startswith("SIG") else 0)
    assert sum(map(len, sessions.values())) == 20
    deliver_the_rest(ingress(ops.url), spool)
    assert stored(ops) == sessions


def test_the_end_takes_at_most_a_second_with_ops_down(spool: Path) -> None:
    url = ingress(f"http://127.0.0.1:{free_port()}")
    took = min(run_portal(url, spool, "end-by", "return")[2] for _ in range(3))
    without_flush = min(run_portal(url, spool, "end-by", "exit-at-once")[2] for _ in range(3))
    assert took - without_flush <= 1.0


def test_a_fork_beside_running_threads_is_safe(ops: RunningOps, spool: Path) -> None:
    sessions, code, _ = run_portal(ingress(ops.url), spool, "fork")
    assert code == 0
    assert len(sessions) == 4
    deliver_the_rest(ingress(ops.url), spool)
    assert stored(ops) == sessions


def test_a_second_portal_takes_over_at_once_when_the_first_is_killed(ops: RunningOps, spool: Path) -> None:
    run_portal(ingress(f"http://127.0.0.1:{free_port()}"), spool, "end-by", "SIGKILL")
    before = time.monotonic()
    sessions, _, _ = run_portal(ingress(ops.url), spool, "end-by", "return")
    assert time.monotonic() - before < 10
    assert sum(map(len, stored(ops).values())) == 40
    assert sum(map(len, sessions.values())) == 20
