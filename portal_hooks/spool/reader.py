"""The reading side of the spool: what a lane still holds, and how far it was delivered.

One process at a time reads (see `portal_hooks.delivery.threads`); the `progress` file of a lane lets the next
one go on where it stopped. It is overwritten in place, so that it can be kept even on a full disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import zlib
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

from portal_hooks.spool.frames import CHUNK_BYTES, Record, scan_frames
from portal_hooks.spool.writer import LOCK, PROGRESS, PROGRESS_BYTES, Position, segment_numbers, segment_path


@dataclass
class ReadProgress:
    """How far a lane was settled. Lost, it costs repeated deliveries, which Ops recognises."""

    segment: int = 0
    offset: int = 0
    """Everything before this place is delivered, dead or parked elsewhere."""
    delivered: int = 0
    dead: int = 0
    parked: int = 0
    failures: int = 0
    """Of a parked lane: failed attempts in a row, and when the next one is due (Unix seconds)."""
    next_attempt_at: float = 0.0

    @property
    def settled(self) -> int:
        """How many events of the lane need no more attention."""
        return self.delivered + self.dead + self.parked

    @classmethod
    def read(cls, folder: Path) -> ReadProgress:
        """What is kept in the lane's folder; the beginning when nothing readable is."""
        for _ in range(3):  # a writer at work in the same instant
            with contextlib.suppress(OSError, ValueError, TypeError):
                checksum, text = (folder / PROGRESS).read_bytes().split(b" ", 1)
                if int(checksum, 16) == zlib.crc32(text.rstrip()):
                    return cls(**json.loads(text))
        return cls()

    def write(self, folder: Path) -> None:
        """Raises OSError."""
        text = json.dumps(asdict(self), separators=(",", ":")).encode()
        line = b"%08x %s" % (zlib.crc32(text), text)
        file = os.open(folder / PROGRESS, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(file, line.ljust(PROGRESS_BYTES - 1) + b"\n", 0)
        finally:
            os.close(file)


class Lane:
    """Reads one lane in order. Not thread-safe."""

    def __init__(self, folder: Path, *, has_writer: bool = True) -> None:
        """`has_writer` is False for a folder that only its reader appends to. Raises OSError."""
        self.folder = folder
        self.progress = ReadProgress.read(folder)
        self.damaged_bytes = 0
        self._lock_file = os.open(folder / LOCK, os.O_RDWR) if has_writer else -1
        self._is_orphan = False
        self._waiting: deque[tuple[Record, Position]] = deque()
        self._cursor = Position(self.progress.segment, self.progress.offset)

    @property
    def waiting(self) -> int:
        """How many records were read and wait to be settled."""
        return len(self._waiting)

    def fill(self, most: int) -> int:
        """Read on until `most` records wait or nothing more is there; how many wait. Raises OSError."""
        while len(self._waiting) < most and self._read_chunk():
            pass
        return len(self._waiting)

    def peek(self, index: int = 0) -> Record:
        """A waiting record. Raises IndexError."""
        return self._waiting[index][0]

    def read_all(self) -> list[Record]:
        """Everything that waits, for people to look at. Raises OSError."""
        while self._read_chunk():
            pass
        return [record for record, _ in self._waiting]

    def settle(self, *, delivered: int = 0, dead: int = 0, parked: int = 0) -> None:
        """That many of the first waiting records need no more attention; `save` keeps that."""
        for _ in range(delivered + dead + parked):
            self.progress.segment, self.progress.offset = self._waiting.popleft()[1]
        self.progress.delivered += delivered
        self.progress.dead += dead
        self.progress.parked += parked

    def save(self) -> None:
        """Remove the segments behind the progress, and keep it. Raises OSError."""
        for number in segment_numbers(self.folder):
            if number < self.progress.segment:
                segment_path(self.folder, number).unlink(missing_ok=True)
        self.progress.write(self.folder)

    def is_finished(self) -> bool:
        """Nothing is left in it, and nobody will append any more."""
        return self.is_orphan() and self.fill(1) == 0

    def is_orphan(self) -> bool:
        """Its process is gone; from the first True on the lane is claimed by its lock."""
        if not self._is_orphan and self._lock_file >= 0:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._is_orphan = True
        return self._is_orphan

    def remove(self) -> None:
        """Delete the lane's folder and let go of it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Let go of the lane."""
        if self._lock_file >= 0:
            os.close(self._lock_file)
        self._lock_file = -1

    def _read_chunk(self) -> bool:
        """Read a stretch behind the cursor; False when there is nothing new."""
        # Asked before the file is read: what its owner wrote last is then in the file for certain.
        is_orphan = self.is_orphan()
        numbers = [number for number in segment_numbers(self.folder) if number >= self._cursor.segment]
        if not numbers:
            return False
        number = numbers[0]
        offset = self._cursor.offset if number == self._cursor.segment else 0
        final = is_orphan or len(numbers) > 1
        data = _read(segment_path(self.folder, number), offset)
        at_end = len(data) < CHUNK_BYTES
        scan = scan_frames(data, at_end=at_end, final=final)
        self.damaged_bytes += scan.damaged
        for record, end in scan.frames:
            self._waiting.append((record, Position(number, offset + end)))
        self._cursor = Position(number, offset + scan.end)
        if at_end and len(numbers) > 1:
            self._cursor = Position(numbers[1], 0)
            return True
        return scan.end > 0


def _read(path: Path, offset: int) -> bytes:
    file = os.open(path, os.O_RDONLY)
    try:
        return os.pread(file, CHUNK_BYTES, offset)
    finally:
        os.close(file)
