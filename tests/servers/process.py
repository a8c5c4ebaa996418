"""Start and stop a server that a test run brings itself."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 30.0
STOP_SECONDS = 20.0


class ServerUnavailable(Exception):
    """A server the tests need cannot be found or does not start; the message says how to bring one."""


@dataclass(frozen=True)
class Account:
    """Whom a server runs as: servers such as PostgreSQL refuse to run as root."""

    uid: int
    gid: int

    def popen_options(self) -> dict[str, Any]:
        """What makes `subprocess` switch to this account; nothing when it is already ours."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def unprivileged_account() -> Account:
    """Our own account, or `nobody` when that is root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


@contextmanager
def scratch_folder(owner: Account) -> Iterator[Path]:
    """A folder of the owner's, outside the checkout since others may not look there; removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="ops-test-"))
    try:
        os.chown(folder, owner.uid, owner.gid)
        yield folder
    finally:
        shutil.rmtree(folder)


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: list[str],
    *,
    log: Path,
    is_ready: Callable[[], bool],
    stop_signal: signal.Signals,
    **options: Any,
) -> Iterator[subprocess.Popen[bytes]]:
    """The command's process from the moment it is ready; stopped and waited for afterwards.

    Raises ServerUnavailable, with the end of its log, when it exits or is not ready in time.
    """
    with log.open("wb") as output:
        # A group of its own: Ctrl-C goes to the tests, which stop the server when they are done with it.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0, **options
        )
    try:
        _wait_until_ready(process, log, is_ready)
        yield process
    finally:
        _stop(process, stop_signal)


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            code = process.returncode
            state = "is not ready in time" if code is None else f"exited with {code}"
            end = log.read_text(errors="replace")[-2000:]
            raise ServerUnavailable(f"{process.args!r} {state}; its log ends:\n{end}")
        time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    process.send_signal(stop_signal)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
