"""Locks of files that a process holds while it lives, and that a forked child never has from its parent.

A child inherits every descriptor, and the lock with it. So it lets go of all of them at once, and no fork
falls into the moment in which one is taken or given up: what is not written down yet could not be let go of.
"""

from __future__ import annotations

import fcntl
import os
import threading
import weakref
from pathlib import Path
from typing import Final

NO_FORK: Final = threading.Lock()
"""While a thread holds it, another that forks waits. Never to be held over anything slow."""


class FileLock:
    """What one process at a time may do; freed by the kernel when its holder ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def acquire(self) -> bool:
        """True when it is held now. Raises OSError when the folder cannot be used."""
        if self._file >= 0:
            if os.fstat(self._file).st_nlink:
                return True
            self.release()  # the file was removed: another process may hold the lock of a new one
        with NO_FORK:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                return False
            self._file = file
            _held.add(self)
            return True

    def release(self) -> None:
        """Give it up, if it is held."""
        with NO_FORK:
            self._let_go()

    def _let_go(self) -> None:
        # Closing is enough; in a forked child it leaves the parent's lock alone.
        file, self._file = self._file, -1
        _held.discard(self)
        if file >= 0:
            os.close(file)


_held: Final[weakref.WeakSet[FileLock]] = weakref.WeakSet()


def _in_child() -> None:
    for lock in list(_held):
        lock._let_go()
    NO_FORK.release()


os.register_at_fork(before=NO_FORK.acquire, after_in_parent=NO_FORK.release, after_in_child=_in_child)
