"""Start portal processes, and compare what they were promised with what a real Ops has stored."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import select

from portal_hooks import OnboardHooks
from portal_hooks.settings import HookSettings
from projections.database.tables import webhook_events
from tests.running_ops import INGRESS, KEY, RunningOps

ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
"""The text of `KEY`."""

Sessions = dict[str, list[str]]
"""Of each session the ids of its events, in order."""


def environment(url: str, spool: Path, **more: str) -> Mapping[str, str]:
    """What a portal process needs."""
    usual = {"OPS_WEBHOOK_URL": url, "OPS_WEBHOOK_SECRET": SECRET, "OPS_SPOOL_DIR": str(spool)}
    return {**os.environ, **usual, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", **more}


def run_portal(url: str, spool: Path, *arguments: str) -> tuple[Sessions, int, float]:
    """Run `portal_process` to its end: what it was promised, its exit code, the seconds it took."""
    command = [sys.executable, "-m", "tests.portal.portal_process", *arguments]
    before = time.monotonic()
    process = subprocess.run(
        command, cwd=ROOT, env=environment(url, spool), stdout=subprocess.PIPE, timeout=240, check=False
    )
    return promised(process.stdout), process.returncode, time.monotonic() - before


def promised(output: bytes) -> Sessions:
    """What the lines of a portal's output say; a line cut short by a kill is no promise."""
    sessions: Sessions = defaultdict(list)
    for line in output.decode().split("\n")[:-1]:
        session_id, event_id = line.split()
        assert event_id != "None"
        sessions[session_id].append(event_id)
    return dict(sessions)


def deliver_the_rest(url: str, spool: Path, seconds: float = 60.0) -> None:
    """What the next start of a portal does: take over what dead processes left."""
    hooks = OnboardHooks(HookSettings(url, KEY, spool))
    hooks.start()
    deadline = time.monotonic() + seconds
    while list((spool / "lanes").iterdir()) or list(spool.glob("parked/*")):
        assert time.monotonic() < deadline, "the spool was not emptied in time"
        time.sleep(0.02)
    hooks.close()


def stored(ops: RunningOps) -> Sessions:
    """What Ops has, in the order in which it was stored."""
    columns = (webhook_events.c.session_id, webhook_events.c.event_id)
    sessions: Sessions = defaultdict(list)
    with ops.database.read() as connection:
        for session_id, event_id in connection.execute(select(*columns).order_by(webhook_events.c.position)):
            sessions[session_id].append(event_id)
    return dict(sessions)


def ingress(ops_url: str) -> str:
    """Where a portal of that Ops posts to."""
    return ops_url + INGRESS
