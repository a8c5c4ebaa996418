"""The writing side of the spool: one append per event to a file that belongs to this process alone.

Each process has a lane, a folder below `lanes/`:

    lock             held with flock while the process lives; free, the lane is an orphan
    0000000001.seg   frames, see `portal_hooks.spool.frames`; a new segment every few megabytes
    progress         how far the lane was delivered, see `portal_hooks.spool.reader`

What `append` returned from is in the kernel's hands: it survives the end of the process in any way. Against a
loss of power it is safe once synced: within `SYNC_SECONDS`, or before `append` returns when asked for.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from portal_hooks.spool.file_lock import NO_FORK
from portal_hooks.spool.frames import Record, encode_frame

LANES: Final = "lanes"
LOCK: Final = "lock"
PROGRESS: Final = "progress"
PROGRESS_BYTES: Final = 1024
SEGMENT_SUFFIX: Final = ".seg"
SEGMENT_BYTES: Final = 4 * 1024 * 1024
LIMIT_BYTES: Final = 256 * 1024 * 1024  # unless OPS_SPOOL_LIMIT_MB says otherwise
SYNC_SECONDS: Final = 1.0
_ROOM_SECONDS: Final = 1.0
_LOOK_MICROSECONDS: Final = 10_000
"""Looking costs a third of an append: a busy portal looks this often whether its lane is there still."""
_logger = logging.getLogger(__name__)


class SpoolFull(OSError):
    """The spool has reached its limit: the newest event is refused, the older ones are kept."""


class Position(NamedTuple):
    """A place in a lane."""

    segment: int
    offset: int


class LaneWriter:
    """Appends frames to a lane's folder, in segments that only this writer ever touches. Not thread-safe."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Begins behind whatever the folder holds: a torn file is never appended to."""
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._file = -1
        self._segment = max(segment_numbers(folder), default=0)
        self._offset = segment_bytes
        self._is_dirty = False
        self._is_folder_dirty = False
        self._retired: list[int] = []
        self.appended = 0

    def append(self, frame: bytes) -> None:
        """Raises OSError, then leaving the lane as it was."""
        if self._offset >= self._segment_bytes:
            self._rotate()
        try:
            written = os.write(self._file, frame)
        except OSError:
            self._abandon_torn()
            raise
        if written != len(frame):
            self._abandon_torn()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._offset += written
        self.appended += 1
        self._is_dirty = True

    def is_removed(self) -> bool:
        """Somebody deleted the lane: what is appended now would vanish with the descriptor."""
        return os.fstat(self._file).st_nlink == 0 if self._file >= 0 else not self._folder.exists()

    def take_unsynced(self, *, even_if_clean: bool = False) -> list[int]:
        """Descriptors to hand to `sync_and_close`: of all that was appended since they were last taken.

        `even_if_clean` includes what another thread has taken and may still be syncing. Raises OSError.
        """
        files, self._retired = self._retired, []
        if self._file >= 0 and (self._is_dirty or even_if_clean):
            files.append(os.dup(self._file))
        if self._is_folder_dirty or even_if_clean:
            # Names are safe only with the folders that hold them.
            files += [
                os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                for folder in (self._folder, self._folder.parent)
            ]
        self._is_dirty = self._is_folder_dirty = False
        return files

    def close(self) -> None:
        """Close the file; appending again opens a new one."""
        for file in [*self._retired, self._file]:
            if file >= 0:
                os.close(file)
        self._retired = []
        self._file = -1
        self._offset = self._segment_bytes

    def _rotate(self) -> None:
        path = segment_path(self._folder, self._segment + 1)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        if self._file >= 0:
            self._retired.append(self._file)
        self._file = file
        self._segment += 1
        self._offset = 0
        self._is_folder_dirty = True

    def _abandon_torn(self) -> None:
        """Cut off a half-written frame; where even that fails, go on in a new segment."""
        try:
            os.ftruncate(self._file, self._offset)
        except OSError:
            self._offset = self._segment_bytes


class _Lane(NamedTuple):
    """This process's own lane."""

    folder: Path
    lock_file: int
    writer: LaneWriter


class Spool:
    """What the hooks of one process append to. Thread-safe; a forked child begins a lane of its own."""

    appended: int
    """How many events this process has kept."""
    _lane: _Lane | None
    _last_emitted_at: int
    _looked_at: int
    _room: int

    def __init__(
        self,
        folder: Path,
        *,
        limit_bytes: int = LIMIT_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self._limit_bytes = limit_bytes
        self._segment_bytes = segment_bytes
        self._clock = clock
        self._reset()

    def append(self, event_id: str, session_id: str, body: bytes, *, durable: bool = False) -> None:
        """Keep one event. `durable` waits until it is safe against a loss of power.

        Raises SpoolFull, or OSError when the disk is full or fails; then the event is not kept.
        """
        with self._lock:
            lane = self._lane or self._open()
            emitted_at = max(int(self._clock() * 1_000_000), self._last_emitted_at + 1)
            if emitted_at >= self._looked_at + _LOOK_MICROSECONDS:
                lane = self._present(lane)
                self._looked_at = emitted_at
            frame = encode_frame(Record(emitted_at, event_id, session_id, body))
            if self._room < len(frame):
                self._require_room(len(frame))
            lane.writer.append(frame)
            self._last_emitted_at = emitted_at
            self._room -= len(frame)
            self.appended += 1
        if durable:
            self.sync(even_if_clean=True)

    def own_lane(self) -> tuple[Path, int] | None:
        """The folder of this process's lane and how much was appended to it; None before the first append."""
        lane = self._lane
        return (lane.folder, lane.writer.appended) if lane else None

    def sync(self, *, even_if_clean: bool = False) -> None:
        """Make all appended events safe against a loss of power, while appending goes on. Raises OSError."""
        with self._lock:
            files = self._lane.writer.take_unsynced(even_if_clean=even_if_clean) if self._lane else []
        sync_and_close(files)

    def measure(self) -> None:
        """Look anew at how much of the limit the processes that share the folder have used."""
        self._room = self._limit_bytes - used_bytes(self.folder)
        self._measured_at = time.monotonic()

    def close(self) -> None:
        """Give up the lane: others may deliver the rest and remove it. Appending again begins a new one."""
        with self._lock, NO_FORK:
            self._let_go()

    def after_fork(self) -> None:
        """In a forked child: let go of the parent's lane, whose lock would otherwise outlive the parent."""
        self._let_go()
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._lane = None
        self._last_emitted_at = self._looked_at = self._room = self.appended = 0
        self._measured_at = -_ROOM_SECONDS

    def _present(self, lane: _Lane) -> _Lane:
        """The lane, or a new one where somebody has deleted it."""
        if not lane.writer.is_removed():
            return lane
        _logger.error("%s was removed with all that waited in it; begun anew", lane.folder)
        with NO_FORK:
            self._let_go()
        return self._open()

    def _let_go(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.writer.close()
            os.close(lane.lock_file)

    def _open(self) -> _Lane:
        with NO_FORK:
            folder, lock_file = _make_lane(self.folder / LANES)
            self._lane = _Lane(folder, lock_file, LaneWriter(folder, self._segment_bytes))
            return self._lane

    def _require_room(self, wanted: int) -> None:
        if time.monotonic() - self._measured_at >= _ROOM_SECONDS:
            self.measure()
        if self._room < wanted:
            raise SpoolFull(
                errno.EDQUOT, f"the spool holds its limit of {self._limit_bytes} bytes: {self.folder}"
            )


def segment_path(folder: Path, number: int) -> Path:
    """The file of a lane's segment."""
    return folder / f"{number:010d}{SEGMENT_SUFFIX}"


def segment_numbers(folder: Path) -> list[int]:
    """The numbers of a lane's segments, ascending."""
    names = os.listdir(folder)  # noqa: PTH208 - asked ten times a second
    return sorted(int(name[: -len(SEGMENT_SUFFIX)]) for name in names if name.endswith(SEGMENT_SUFFIX))


def used_bytes(folder: Path) -> int:
    """The bytes of all segments below `folder`."""
    # Lanes come and go meanwhile: a walk passes over what is gone, a glob would raise.
    used = 0
    for lane, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                used += Path(lane, name).stat().st_size if name.endswith(SEGMENT_SUFFIX) else 0
    return used


def _make_lane(lanes: Path) -> tuple[Path, int]:
    """A new lane, locked before anybody else can see it."""
    lanes.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{os.getpid()}-{secrets.token_hex(4)}"
    hidden = lanes / f".{name}"
    hidden.mkdir(mode=0o700)
    with contextlib.ExitStack() as undo:
        # Not rmtree: it needs a descriptor, and there may be none.
        undo.callback(hidden.rmdir)
        lock_file = os.open(hidden / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        undo.callback(os.close, lock_file)
        undo.callback((hidden / LOCK).unlink)
        undo.callback((hidden / PROGRESS).unlink, missing_ok=True)
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its bytes are there from the start, so that progress can be kept on a full disk.
        (hidden / PROGRESS).write_bytes(b" " * PROGRESS_BYTES)
        hidden.rename(lanes / name)
        undo.pop_all()
    return lanes / name, lock_file


def sync_and_close(files: list[int]) -> None:
    """Sync each descriptor, and close all of them whatever happens. Raises OSError."""
    try:
        for file in files:
            os.fdatasync(file)
    finally:
        for file in files:
            os.close(file)
