"""Runs as a process of its own: portals that emit, fork, and come to every kind of end.

Each prints a line `session event_id` after an emit has returned: what was promised to be delivered.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time

from portal_hooks import OnboardHooks
from portal_hooks.delivery.breaker import Pace
from portal_hooks.settings import read_settings

# Quick, for a process here lives for some milliseconds.
PACE = Pace(first=0.01, longest=0.1, open_interval=0.2)


def new_hooks() -> OnboardHooks:
    """Hooks of this process's environment."""
    return OnboardHooks(read_settings(), pace=PACE, timeout=2.0)


def report(session_id: str, event_id: str | None) -> None:
    """Tell that an emit has returned."""
    os.write(1, f"{session_id} {event_id}\n".encode())


def emit_until_killed(hooks: OnboardHooks, name: str) -> None:
    """Emit to a few sessions by turns, without pause."""
    for number in itertools.count():
        session_id = f"{name}-s{number % 5}"
        report(session_id, hooks.emit("test.counted", session_id, data={"n": number}))


def kill_rounds(rounds: int, seed: int) -> None:
    """Fork an emitting process, kill it with SIGKILL after a moment; again and again.

    Three in four are given the time to emit first, however busy the machine is.
    """
    chance = random.Random(seed)
    hooks = new_hooks()
    for number in range(rounds):
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            report(f"r{number}-first", hooks.emit("test.counted", f"r{number}-first"))
            os.write(write_end, b".")
            emit_until_killed(hooks, f"r{number}")
        if number % 4:
            os.read(read_end, 1)
        os.close(read_end)
        os.close(write_end)
        time.sleep(chance.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def end_by(ending: str) -> None:
    """Emit 20 events and end in the given way."""
    hooks = new_hooks()
    for number in range(20):
        session_id = f"{ending}-s{number % 3}"
        report(session_id, hooks.emit("test.counted", session_id, data={"n": number}))
    if ending == "exit-at-once":
        os._exit(0)
    if ending != "return":
        os.kill(os.getpid(), getattr(signal, ending))
        time.sleep(10)


def fork_while_sending() -> None:
    """The parent emits and sends, then forks; all emit; the parent ends first."""
    hooks = new_hooks()
    report("parent", hooks.emit("test.counted", "parent"))
    time.sleep(0.3)
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            time.sleep(0.1)
            for turn in range(10):
                report(f"child{number}", hooks.emit("test.counted", f"child{number}", data={"n": turn}))
            hooks.flush(10)
            os._exit(0)
        children.append(child)
    report("parent", hooks.emit("test.counted", "parent"))
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["kill-rounds", rounds, seed]:
            kill_rounds(int(rounds), int(seed))
        case ["end-by", ending]:
            end_by(ending)
        case ["fork"]:
            fork_while_sending()
