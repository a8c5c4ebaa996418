"""A child forked in the moment in which a lock is taken or given up does not keep that lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portal_hooks.backlog import Backlog
from portal_hooks.file_lock import FileLock
from portal_hooks.lanes import Lane
from portal_hooks.sender import sender_lock
from portal_hooks.spool import LANES, Spool

# Python 3.12 warns of any fork beside threads; a portal's server forks all the same.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
HESITATION = 0.2
"""Seconds between the system call and what the thread makes of it: long enough to fork in between."""


@pytest.fixture
def in_between(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set when a thread has just locked a file, or is about to close it."""
    reached = threading.Event()
    lock, close = fcntl.flock, os.close

    def lock_and_hesitate(file: int, operation: int) -> None:
        lock(file, operation)
        reached.set()
        time.sleep(HESITATION)

    def hesitate_and_close(file: int) -> None:
        if threading.current_thread() is not threading.main_thread():
            reached.set()
            time.sleep(HESITATION)
        close(file)

    monkeypatch.setattr("portal_hooks.file_lock.fcntl.flock", lock_and_hesitate)
    monkeypatch.setattr("portal_hooks.file_lock.os.close", hesitate_and_close)
    yield reached
    monkeypatch.undo()


@contextlib.contextmanager
def _forked_while(
    action: Callable[[], object], reached: threading.Event, let_go: Callable[[], None]
) -> Iterator[None]:
    """A child forked while another thread is in the middle of `action`; it has let go and lives on."""
    thread = threading.Thread(target=action)
    thread.start()
    assert reached.wait(5)
    (until, end), (ready, tell) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        let_go()
        os.write(tell, b".")
        os.read(until, 1)
        os._exit(0)
    thread.join()
    os.read(ready, 1)
    yield
    for file in (end, until, ready, tell):
        os.close(file)
    assert os.waitpid(child, 0)[1] == 0


def _is_free(spool_dir: Path) -> bool:
    lock = sender_lock(spool_dir)
    is_free = lock.acquire()
    lock.release()
    return is_free


def test_while_the_right_to_send_is_taken(tmp_path: Path, in_between: threading.Event) -> None:
    lock = sender_lock(tmp_path)
    with _forked_while(lock.acquire, in_between, lambda: None):
        assert lock.acquire()
        lock.release()
        assert _is_free(tmp_path)


def test_while_the_right_to_send_is_given_up(tmp_path: Path, in_between: threading.Event) -> None:
    lock = sender_lock(tmp_path)
    assert lock.acquire()
    in_between.clear()
    with _forked_while(lock.release, in_between, lambda: None):
        assert _is_free(tmp_path)


def test_while_a_lock_is_held(tmp_path: Path, in_between: threading.Event) -> None:
    """Whose lock it is, the relay's too, need not be told of the fork."""
    lock = FileLock(tmp_path / "relay.lock")
    with _forked_while(lock.acquire, in_between, lambda: None):
        lock.release()
        assert FileLock(tmp_path / "relay.lock").acquire()


def test_while_a_lane_is_begun(tmp_path: Path, in_between: threading.Event) -> None:
    spool = Spool(tmp_path)
    with _forked_while(lambda: spool.append("e", "s", b"{}"), in_between, spool.after_fork):
        own = spool.own_lane()
        assert own is not None
        spool.close()
        assert Lane(own[0]).is_orphan()


def test_while_a_lane_is_given_up(tmp_path: Path, in_between: threading.Event) -> None:
    spool = Spool(tmp_path)
    spool.append("e", "s", b"{}")
    in_between.clear()
    with _forked_while(spool.close, in_between, spool.after_fork):
        (folder,) = (tmp_path / LANES).iterdir()
        assert Lane(folder).is_orphan()


def test_while_a_lane_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lane's claim would stay with the child, and the lane never be removed."""
    spool, backlog = Spool(tmp_path), Backlog(tmp_path, 60.0)
    spool.append("e", "s", b"{}")
    opened, reached = os.open, threading.Event()

    def open_and_hesitate(*arguments: Any) -> int:
        file = opened(*arguments)
        reached.set()
        time.sleep(HESITATION)
        return file

    def let_go() -> None:
        backlog.close()
        spool.after_fork()

    monkeypatch.setattr("portal_hooks.lanes.os.open", open_and_hesitate)
    with _forked_while(lambda: backlog.next_batch(time.time(), 1), reached, let_go):
        monkeypatch.undo()
        spool.close()
        backlog.next_batch(time.time(), 1)
        backlog.close()
        (folder,) = (tmp_path / LANES).iterdir()
        assert Lane(folder).is_orphan()
