"""The background threads of a process with hooks: one syncs its spool, one delivers.

Of all processes that share a spool folder one delivers, for all of them: the one that holds `sender.lock`.
However it ends, the kernel frees the lock, and the next takes over where the progress files say. So there is
one connection, one backoff and one breaker per host, and events of one session that several processes
emitted stay in order.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from portal_hooks.delivery.breaker import Condition, EndpointState
from portal_hooks.delivery.sender import Sender
from portal_hooks.log_once import LogOnce
from portal_hooks.spool.backlog import PARKED
from portal_hooks.spool.file_lock import FileLock
from portal_hooks.spool.reader import Lane, ReadProgress
from portal_hooks.spool.writer import SYNC_SECONDS, Spool

LOCK: Final = "sender.lock"
IDLE_SECONDS: Final = 0.2
"""How often the process that delivers looks for new events; the emitting threads never wake it."""
STANDBY_SECONDS: Final = 0.5
_FLUSH_POLL_SECONDS: Final = 0.005

_NOT_SOON: Final = (Condition.OPEN, Condition.PAUSED, Condition.STOPPED)


def sender_lock(spool_dir: Path) -> FileLock:
    """The right to deliver what is in a spool folder."""
    return FileLock(spool_dir / LOCK)


class SenderThreads:
    """Delivers in the background. Methods may be called from any thread; only `flush` and `close` wait."""

    _threads: list[threading.Thread]

    def __init__(self, spool: Spool, new_sender: Callable[[], Sender]) -> None:
        self._spool = spool
        self._new_sender = new_sender
        self._log = LogOnce(logging.getLogger(__name__))
        self._reset()

    def start(self) -> None:
        """Begin to sync and to deliver, also what earlier processes left. The second time does nothing."""
        if self._threads or self._closing.is_set():
            return
        with self._starting:
            if not self._threads:
                self._threads = [
                    threading.Thread(target=run, name=name, daemon=True)
                    for run, name in ((self._run_sync, "ops-hooks-sync"), (self._run, "ops-hooks-sender"))
                ]
                for thread in self._threads:
                    thread.start()

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until what this process emitted is delivered; True when it is."""
        self.start()
        return self._wait_until_empty(timeout, lambda: False)

    def close(self, timeout: float) -> int:
        """Deliver what can be delivered at once, then stop; how many events are left for the next process."""
        deadline = time.monotonic() + timeout
        if self._threads:
            self._wait_until_empty(timeout, self._is_hopeless)
        self._closing.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with contextlib.suppress(OSError):
            self._spool.sync()
        self._left, self._final = self.pending(), self.progress()
        self._spool.close()
        return self._left

    def pending(self) -> int:
        """Events of this process that are not settled yet, with those of sessions that are parked."""
        own = self._spool.own_lane()
        if own is None:
            return self._left
        folder, appended = own
        progress = ReadProgress.read(folder)
        parked = parked_count(self._spool.folder) if progress.parked else 0
        return max(0, appended - progress.settled) + parked

    def progress(self) -> ReadProgress:
        """What became of this process's events, whichever process delivered them."""
        own = self._spool.own_lane()
        return self._final if own is None else ReadProgress.read(own[0])

    def state(self) -> EndpointState:
        """What is known of Ops."""
        sender = self._current
        return sender.state if sender else EndpointState.read(self._spool.folder)

    def count(self, name: str) -> int:
        """A count of this process, as long as it was the one that delivers."""
        return self._counted.get(name, 0)

    @property
    def last_error(self) -> str | None:
        """What went wrong at the newest failed attempt, in words."""
        return self._last_error or self.state().reason

    def after_fork(self) -> None:
        """In a forked child: no threads run here, and nothing of the parent's may be held."""
        if self._current is not None:
            self._current.abandon()
        self._reset()

    def _reset(self) -> None:
        self._starting = threading.Lock()
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._threads = []
        self._lock = sender_lock(self._spool.folder)
        self._current: Sender | None = None
        self._counted: dict[str, int] = {}
        self._last_error: str | None = None
        self._final = ReadProgress()
        self._left = 0

    def _wait_until_empty(self, timeout: float, is_hopeless: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + timeout
        while self.pending():
            self._wake.set()
            if time.monotonic() >= deadline or is_hopeless():
                return False
            time.sleep(_FLUSH_POLL_SECONDS)
        return True

    def _is_hopeless(self) -> bool:
        return self.state().condition in _NOT_SOON

    def _run_sync(self) -> None:
        while not self._closing.wait(SYNC_SECONDS):
            try:
                self._spool.sync()
                self._log.over("sync", "the spool can be synced again")
            except Exception as error:  # a dead thread would leave the spool unsynced for good
                self._log.error("sync", "the spool cannot be synced: %s", error)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                wait = self._turn()
                self._log.over("delivery", "the spool can be read again")
            except Exception as error:  # a dead thread would stop every later event
                kind = type(error).__name__
                self._log.error("delivery", "the spool cannot be delivered from: %s: %s", kind, error)
                wait = 1.0
            if wait > 0:
                self._wake.wait(wait)
                self._wake.clear()
        self._retire()

    def _turn(self) -> float:
        if not self._lock.acquire():
            self._retire()
            return STANDBY_SECONDS
        if self._current is None:
            self._current = self._new_sender()
        wait = self._current.step()
        self._counted = dict(self._current.counts)
        self._last_error = self._current.last_error
        return IDLE_SECONDS if wait is None else min(wait, IDLE_SECONDS)

    def _retire(self) -> None:
        sender, self._current = self._current, None
        if sender is not None:
            sender.close()
        self._lock.release()


def parked_count(spool_dir: Path) -> int:
    """How many events wait in parked sessions."""
    count = 0
    with contextlib.suppress(OSError):
        for folder in (spool_dir / PARKED).iterdir():
            count += len(Lane(folder, has_writer=False).read_all())
    return count
