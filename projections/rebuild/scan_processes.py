"""The processes that help with a long replay, and the one that forks them.

That one, Python's fork server, has imported what they need, so that they begin at once. It has never opened a
database: a process must not inherit an open SQLite file.
"""

import multiprocessing
import os
import signal
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext
from typing import Final

MOST_PROCESSES: Final = 2
"""Besides the asking one. More would wait for its writes, and each holds some 80 MB."""

_IMPORTED: Final = ("projections.rebuild.rebuild", "projections.rebuild.verify")
"""Where the work of a replay is defined."""


def number() -> int:
    """How many processes a long replay gets on this machine; one is the asking one alone."""
    return min(os.cpu_count() or 1, MOST_PROCESSES)


def start_server() -> bool:
    """Have the fork server begin to import, and do not wait for it. False where there can be none."""
    multiprocessing.set_forkserver_preload(list(_IMPORTED))
    resource_tracker.ensure_running()  # begun by the fork server's start, it would let Ctrl-C through
    # Held back, it stays so in what is started here: a Ctrl-C is the asking process's alone.
    held_back = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    except OSError:  # it listens in the folder for temporary files; a container may have none
        return False
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held_back)
    return True


def context() -> BaseContext:
    """How to start such a process: forked by the server, or as a new interpreter."""
    return multiprocessing.get_context("forkserver" if start_server() else "spawn")
