"""Running ops-rebuild-projections as an operator does, watched for time and memory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Run(NamedTuple):
    """One run of the command, start of the interpreter included."""

    seconds: float
    last: dict[str, Any]
    """The last line it printed."""


def run(url: str, *options: str, seen: Callable[[dict[str, Any]], None] = lambda _line: None) -> Run:
    """Run the command on this database; `seen` gets each line it prints, as it is printed.

    Raises AssertionError when the command fails.
    """
    started = time.perf_counter()
    line: dict[str, Any] = {}
    with subprocess.Popen(
        _command(*options), stdout=subprocess.PIPE, env=os.environ | {"OPS_DATABASE_URL": url}
    ) as process:
        for printed in process.stdout or ():
            line = json.loads(printed)
            seen(line)
    assert process.returncode == 0, f"the command ended with {process.returncode}"
    return Run(time.perf_counter() - started, line)


def peak_bytes(url: str) -> int:
    """The most memory that a rebuild has at one time, all its processes together.

    In a run of its own: looking at a process's memory stops the process.
    """
    process = subprocess.Popen(
        _command(), stdout=subprocess.DEVNULL, env=os.environ | {"OPS_DATABASE_URL": url}
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(_memory_bytes, (process.pid, *_children(process.pid)))))
        time.sleep(0.03)
    assert process.returncode == 0
    return peak


def _command(*options: str) -> list[str]:
    return [str(Path(sys.executable).with_name("ops-rebuild-projections")), "--json", *options]


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _memory_bytes(pid: int) -> int:
    """The memory that is the process's own share, without the pages of files that the system keeps and may
    take back; 0 when it has just ended."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    fields = dict(line.split()[:2] for line in rollup.splitlines()[1:])
    return (int(fields.get("Pss_Anon:", 0)) + int(fields.get("Pss_Shmem:", 0))) * 1024
