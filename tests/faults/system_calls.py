"""What the service asks of the kernel, and in which order: traces by strace, read back as calls."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.servers.process import ServerUnavailable

INSTALL_SECONDS = 120

# `-yy` names sockets by their ends, with an arrow in between.
_CALL = re.compile(r"(?P<name>\w+)\((?P<fd>\d+)<(?P<label>(?:->|[^<>])*)>(?P<rest>.*)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(?P<rest>.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"


class Call(NamedTuple):
    """One system call on a file or socket. `begun` and `ended` are places in the trace's order."""

    begun: int
    ended: int
    name: str
    label: str
    text: str
    """The other arguments, as strace prints them, and the result."""

    @property
    def succeeded(self) -> bool:
        """False for errors, injected ones included."""
        return re.search(r"\)\s+= \d+", self.text) is not None


@cache
def strace() -> str:
    """The path of strace; brought by apt where that may be done. Raises ServerUnavailable."""
    found = shutil.which("strace")
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "strace"]
        for command in (["apt-get", "update", "-qq"], install):
            subprocess.run(command, check=False, capture_output=True, timeout=INSTALL_SECONDS)
        found = shutil.which("strace")
    if not found:
        raise ServerUnavailable("strace is not installed, and these tests need it: apt-get install strace")
    return found


def calls(trace: Path) -> Iterator[Call]:
    """The trace's finished calls, in the order of their ends."""
    begun: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(trace.read_text(errors="replace").splitlines()):
        thread, _, text = line.partition(" ")
        text = text.lstrip()
        start = number
        if text.endswith(_UNFINISHED):
            begun[thread] = (number, text.removesuffix(_UNFINISHED))
            continue
        if resumed := _RESUMED.match(text):
            start, head = begun.pop(thread)
            text = head + resumed["rest"]
        if call := _CALL.match(text):
            yield Call(start, number, call["name"], call["label"], call["rest"])
