"""Go through all sessions of the log, range by range: on all cores when the log is long.

The other processes only read and compute. What they find comes back in range order to the one that asked, and
it alone writes.
"""

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Final, TypeVar

from sqlalchemy import Connection

from projections.database.database import Database
from projections.log import SessionRange, head, next_range
from projections.rebuild import scan_processes

RANGE_EVENTS: Final = 10_000
LONG_LOG_EVENTS: Final = 50_000
"""From so many events on, other processes earn the time they take to start."""

Result = TypeVar("Result")
Work = Callable[[Connection, SessionRange], Result]
"""A module's own function, for other processes find it by its name; its result is pickled."""


class WorkerLost(Exception):
    """A process that read the log was killed or ran out of memory."""


def replay(database: Database, work: Work[Result], after: str = "") -> Generator[Result]:
    """The results of `work` on all ranges of sessions past `after`, in order, each in a read of its own.

    Close it when it is not read to its end. Raises WorkerLost, and what `work` raises.
    """
    with database.read() as connection:
        is_long = head(connection) >= LONG_LOG_EVENTS
    processes = scan_processes.number()
    with _without_collector():
        if is_long and processes > 1:
            yield from _in_processes(database, work, after, processes)
        else:
            for sessions in _ranges(database, after):
                with database.scan() as connection:
                    result = work(connection, sessions)
                yield result


def _ranges(database: Database, after: str) -> Iterator[SessionRange]:
    last: str | None = after
    while last is not None:
        with database.read() as connection:
            sessions = next_range(connection, last, RANGE_EVENTS)
        yield sessions
        last = sessions.last


def _in_processes(database: Database, work: Work[Result], after: str, processes: int) -> Generator[Result]:
    url = database.url.render_as_string(hide_password=False)
    pool = ProcessPoolExecutor(processes, scan_processes.context(), _start_worker, (url,))
    waiting: deque[Future[Result]] = deque()
    try:
        for sessions in _ranges(database, after):
            waiting.append(pool.submit(_run, work, sessions))
            if len(waiting) > 2 * processes:  # bounds what lies finished in memory
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except (BrokenProcessPool, OSError):
        # One that starts while another dies finds the pool's pipes closed, or waits for work for ever.
        for worker in multiprocessing.active_children():
            worker.terminate()
        raise WorkerLost(
            "a process that read the log has died, perhaps because memory was short; run the command again"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_worker_database: Database


def _start_worker(url: str) -> None:
    global _worker_database
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and ends its workers
    threading.Thread(target=_die_with_parent, daemon=True).start()
    gc.disable()
    _worker_database = Database(url)


def _die_with_parent() -> None:
    """A parent killed outright cannot end its workers, and they would wait for work for ever."""
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)


def _run(work: Work[Result], sessions: SessionRange) -> Result:
    with _worker_database.scan() as connection:
        return work(connection, sessions)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Replaying makes millions of objects and no cycles: looking for some would take a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
