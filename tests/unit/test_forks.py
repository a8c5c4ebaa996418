"""A forked child sends for itself and keeps nothing of its parent's: no lock, whenever it was forked."""

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

from portal_hooks import OnboardHooks
from portal_hooks.delivery.threads import sender_lock
from portal_hooks.spool.backlog import Backlog
from portal_hooks.spool.file_lock import FileLock
from portal_hooks.spool.reader import Lane
from portal_hooks.spool.writer import LANES, Spool
from tests.servers.webhook_receiver import Receiver

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

    monkeypatch.setattr("portal_hooks.spool.file_lock.fcntl.flock", lock_and_hesitate)
    monkeypatch.setattr("portal_hooks.spool.file_lock.os.close", hesitate_and_close)
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

    monkeypatch.setattr("portal_hooks.spool.reader.os.open", open_and_hesitate)
    with _forked_while(lambda: backlog.next_batch(time.time(), 1), reached, let_go):
        monkeypatch.undo()
        spool.close()
        backlog.next_batch(time.time(), 1)
        backlog.close()
        (folder,) = (tmp_path / LANES).iterdir()
        assert Lane(folder).is_orphan()


def test_a_forked_child_sends_for_itself(hooks: OnboardHooks, receiver: Receiver) -> None:
    hooks.emit("from.parent", "s1")
    assert hooks.flush()
    child = os.fork()
    if child == 0:
        hooks.emit("from.child", "s1")
        os._exit(0 if hooks.flush() else 1)
    assert os.waitpid(child, 0)[1] == 0
    hooks.emit("from.parent", "s1")
    assert hooks.flush()
    assert receiver.types() == ["from.parent", "from.child", "from.parent"]


def _open_locks(folder: Path) -> list[Path]:
    """The locks of the folder that this process has open; a file being read at the fork does no harm."""
    files = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            files.append(descriptor.readlink())
    return [file for file in files if file.is_relative_to(folder) and file.name.endswith("lock")]


def test_a_forked_child_holds_nothing_of_its_parents(
    hooks: OnboardHooks, receiver: Receiver, tmp_path: Path
) -> None:
    hooks.emit("from.parent", "s1")
    assert hooks.flush()
    own = hooks._spool.own_lane()
    assert own is not None
    read_end, write_end = os.pipe()
    is_up, tell_up = os.pipe()
    child = os.fork()
    if child == 0:
        if _open_locks(tmp_path):
            os._exit(2)
        os.write(tell_up, b".")
        os.read(read_end, 1)
        hooks.emit("from.child", "s1")
        os._exit(0 if hooks.flush(10) else 1)
    # What the child lets go of, it lets go of on its first steps.
    os.close(tell_up)
    os.read(is_up, 1)
    os.close(is_up)
    parent_lane = Lane(own[0])
    hooks.close()
    lock = sender_lock(tmp_path)
    is_free = lock.acquire()
    is_orphan = parent_lane.is_orphan()
    lock.release()
    parent_lane.close()
    os.write(write_end, b".")
    status = os.waitpid(child, 0)[1]
    os.close(read_end)
    os.close(write_end)
    assert (is_free, is_orphan, status) == (True, True, 0)
    assert receiver.types() == ["from.parent", "from.child"]
