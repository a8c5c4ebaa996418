"""A real `ops-service serve` in a process of its own, which a test may kill, trace and starve."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from ops_service.auth import tokens
from ops_service.principals import SERVER
from portal_hooks.instants import now_instant
from portal_hooks.signing import headers_for
from projections.database.database import Database
from tests.running_ops import INGRESS, KEY, OTHER_KEY, OTHER_SOURCE, PLAIN_HTTP, SOURCE
from tests.servers.process import ServerUnavailable, free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 30.0


class OpsProcess:
    """The running service. `pid` is its own, also when a tracer was put before it."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, log: Path, token: str) -> None:
        self.url = url
        self.log = log
        self.token = token
        self.pid = process.pid
        self._process = process
        self._http = httpx.Client(base_url=url, timeout=60, verify=PLAIN_HTTP)

    def get(self, path: str) -> httpx.Response:
        """A read with the token, on a connection of its own."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.get(self.url + path, headers=headers, timeout=30, verify=PLAIN_HTTP)

    def send(self, value: dict[str, Any]) -> httpx.Response:
        """One signed event, on a connection that is kept."""
        body = json.dumps(value).encode()
        signed = headers_for(KEY, value["event_id"], body, int(time.time()))
        return self._http.post(INGRESS, content=body, headers={"content-type": "application/json", **signed})

    def kill(self) -> None:
        """kill -9: the process gets no chance to do anything more."""
        self._stop(signal.SIGKILL)

    def ask_to_stop(self) -> None:
        """SIGTERM, as an init system sends it; does not wait."""
        os.kill(self.pid, signal.SIGTERM)

    def exit_code(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for the end; negative when a signal ended it. Raises subprocess.TimeoutExpired."""
        return self._process.wait(seconds)

    def peak_memory(self) -> int:
        """The most bytes the process ever had in memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024

    def wait_until_ready(self) -> None:
        """Raises ServerUnavailable, with the end of the log, when it exits or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not _answers(self.url):
            if self._process.poll() is not None or time.monotonic() > deadline:
                end = self.log.read_text(errors="replace")[-3000:]
                raise ServerUnavailable(f"the service is not ready (exit {self._process.poll()}):\n{end}")
            time.sleep(0.02)
        # Under a tracer the child is the tracer; several workers have a parent, which says so first.
        started = re.findall(rb"Started (?:parent|server) process \[(\d+)\]", self.log.read_bytes())
        self.pid = int(started[0])

    def end(self) -> None:
        """Whatever became of the test: leave no process behind."""
        self._http.close()
        if self._process.poll() is None:
            self._stop(signal.SIGTERM)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _stop(self, how: signal.Signals) -> None:
        os.kill(self.pid, how)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGKILL)
            self._process.wait(STOP_SECONDS)


@contextmanager
def ops_process(
    database_url: str,
    folder: Path,
    *,
    port: int | None = None,
    under: Sequence[str] = (),
    token: str | None = None,
    workers: int = 1,
    **settings: str,
) -> Iterator[OpsProcess]:
    """Run the service from the moment it is ready until the block ends.

    `under` is put before the command, such as a tracer; `settings` are environment variables. The log goes
    into `folder`. Give `token` when the database may not be touched before the start.
    """
    port = port or free_port()
    log = folder / "ops.log"
    token = token or new_token(database_url)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *under,
                sys.executable,
                "-m",
                "ops_service",
                "serve",
                "--port",
                str(port),
                "--workers",
                str(workers),
            ],
            env=_environment(database_url, settings),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    ops = OpsProcess(process, f"http://127.0.0.1:{port}", log, token)
    try:
        ops.wait_until_ready()
        yield ops
    finally:
        ops.end()


def new_token(database_url: str) -> str:
    """An API token that may do everything."""
    with Database(database_url) as database, database.write() as connection:
        return tokens.create(connection, f"faults-{time.time_ns()}", "admin", SERVER, now_instant())


def _environment(database_url: str, settings: dict[str, str]) -> dict[str, Any]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OPS_")}
    secrets = ((SOURCE, KEY), (OTHER_SOURCE, OTHER_KEY))
    return {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "OPS_DATABASE_URL": database_url,
        "OPS_WEBHOOK_SECRETS": ";".join(
            f"{source}=whsec_{base64.b64encode(key).decode()}" for source, key in secrets
        ),
        **settings,
    }


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5, verify=PLAIN_HTTP).status_code == 200
    except httpx.TransportError:
        return False
