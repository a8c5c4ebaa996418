"""A portal under a real gunicorn: workers share a spool folder; are forked after import, killed, replaced."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.portal.portals import ROOT, Sessions, deliver_the_rest, environment, ingress, stored
from tests.running_ops import PLAIN_HTTP, RunningOps
from tests.servers.process import free_port, running

WORKERS = 3


@contextmanager
def _gunicorn(ops_url: str, spool: Path, *options: str) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--bind", f"127.0.0.1:{port}"]
    command += ["--worker-tmp-dir", str(spool.parent), *options, "tests.portal.gunicorn_app:app"]
    with running(
        command,
        log=spool.parent / "gunicorn.log",
        is_ready=lambda: _answers(port),
        stop_signal=signal.SIGTERM,
        cwd=ROOT,
        env=environment(ingress(ops_url), spool),
    ):
        yield f"http://127.0.0.1:{port}"


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/?session=ready&n=0", verify=PLAIN_HTTP).status_code == 200
    except httpx.TransportError:
        return False


def _emit(url: str, sessions: Sessions, session_id: str, number: int) -> int:
    """One request on a connection of its own, so that any worker may take it; that worker."""
    answer = httpx.get(url, params={"session": session_id, "n": number}, verify=PLAIN_HTTP).json()
    sessions.setdefault(session_id, []).append(answer["event_id"])
    pid: int = answer["pid"]
    return pid


def _visit(url: str, sessions: Sessions, session_id: str) -> list[int]:
    return [_emit(url, sessions, session_id, number) for number in range(30)]


@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["forked before import", "preloaded"])
def test_workers_share_a_spool_and_keep_each_sessions_order(
    ops: RunningOps, spool: Path, options: list[str]
) -> None:
    sessions: Sessions = {}
    # At once: of requests in a row one worker might take all.
    with _gunicorn(ops.url, spool, *options) as url, ThreadPoolExecutor(4) as visitors:
        runs = list(visitors.map(lambda name: _visit(url, sessions, name), ("s0", "s1", "s2", "s3")))
    deliver_the_rest(ingress(ops.url), spool)
    assert len({pid for run in runs for pid in run}) > 1
    arrived = stored(ops)
    assert {name: arrived[name] for name in sessions} == sessions


def test_killed_workers_lose_nothing(ops: RunningOps, spool: Path) -> None:
    sessions: Sessions = {}
    killed = set()
    with _gunicorn(ops.url, spool, "--preload") as url:
        for number in range(60):
            pid = _emit(url, sessions, f"s{number % 4}", number)
            if number % 15 == 14:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
                time.sleep(0.3)
    deliver_the_rest(ingress(ops.url), spool)
    assert len(killed) == 4
    arrived = stored(ops)
    assert {name: arrived[name] for name in sessions} == sessions


def test_stopping_gunicorn_with_ops_down_is_quick_and_loses_nothing(ops: RunningOps, spool: Path) -> None:
    sessions: Sessions = {}
    with _gunicorn(f"http://127.0.0.1:{free_port()}", spool) as url:
        for number in range(20):
            _emit(url, sessions, "s", number)
        before = time.monotonic()
    assert time.monotonic() - before < 3  # gunicorn's own part included
    deliver_the_rest(ingress(ops.url), spool)
    assert stored(ops)["s"] == sessions["s"]
