"""Real server processes, one for each contestant, and the load sent to them."""

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from bench import load
from projections.database.database import Database
from projections.database.migrate import upgrade
from tests.servers.process import free_port, running

ROOT: Final = Path(__file__).resolve().parent.parent

OURS: Final = ["-m", "ops_service", "serve"]


@dataclass(frozen=True)
class Sample:
    """What one run of load measured."""

    per_second: float
    p50_ms: float
    p99_ms: float
    statuses: dict[str, int]
    cpu_us: float
    """What a request cost the server's process, all its threads; other work on the machine hardly shows."""


@dataclass(frozen=True)
class Contestant:
    """A running server with a database of its own."""

    port: int
    pid: int
    database: Database
    acknowledged: list[int]
    """How many events each run of load got a 2xx for."""

    def run(self, path: str, seconds: float, connections: int, batch: int = 0, most: int = 12_000) -> Sample:
        """Send load for some seconds, from another process."""
        options = {"port": self.port, "path": path, "seconds": seconds, "connections": connections}
        options |= {"batch": batch, "most": most}
        command = [sys.executable, "-m", "bench.load"]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        cpu_before = _cpu_seconds(self.pid)
        printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        facts = json.loads(printed)
        good = sum(number for status, number in facts["statuses"].items() if status.startswith("2"))
        self.acknowledged.append(good * max(batch, 1))
        cpu = _cpu_seconds(self.pid) - cpu_before
        return Sample(**facts, cpu_us=cpu / sum(facts["statuses"].values()) * 1e6)


def peer(name: str) -> list[str]:
    """The command that serves one of `bench.peers`."""
    return ["-m", "bench.peers", name]


@contextmanager
def serving(database: Database, command: list[str]) -> Iterator[Contestant]:
    """The contestant, migrated and listening."""
    url = database.url.render_as_string()
    upgrade(database)
    port = free_port()
    folder = Path(database.url.database or "").parent
    with running(
        [sys.executable, *command, "--port", str(port)],
        log=folder / f"server-{port}.log",
        is_ready=lambda: _answers(f"http://127.0.0.1:{port}/openapi.json"),
        stop_signal=signal.SIGTERM,
        cwd=folder,
        env=os.environ | _settings(url),
    ) as process:
        yield Contestant(port, process.pid, database, [])


def _cpu_seconds(pid: int) -> float:
    """User and system time of the process so far (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _settings(url: str) -> dict[str, str]:
    secret = base64.b64encode(load.KEY).decode()
    return {
        "PYTHONPATH": str(ROOT),
        "OPS_DATABASE_URL": url,
        "OPS_WEBHOOK_SECRETS": f"bench=whsec_{secret}",
        # Production's default would answer 429 to the batches.
        "OPS_MAX_EVENTS_PER_SECOND": "1000000",
    }


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code < 500
    except httpx.TransportError:
        return False
