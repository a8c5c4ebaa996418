"""Everything a spool folder still has to deliver: the lanes of all processes, merged, and parked sessions.

Events leave the lanes in the order they were emitted, whichever process did it. A session whose oldest
event cannot be delivered is parked: its events move, in order, to a lane of its own below `parked/`, where
they wait without holding up anybody else.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from portal_hooks.contract import MAX_BATCH_BYTES
from portal_hooks.spool.dead_letters import DeadLetters
from portal_hooks.spool.file_lock import NO_FORK
from portal_hooks.spool.frames import Record, encode_frame
from portal_hooks.spool.reader import Lane
from portal_hooks.spool.writer import LANES, LaneWriter, sync_and_close

PARKED: Final = "parked"
_MAX_CLOCK_STEP: Final = 5_000_000
"""Microseconds. An event dated further ahead was emitted before the clock was set back."""
_UNFINISHED_SECONDS: Final = 60


class Entry(NamedTuple):
    """One event of a batch and the lane it comes from."""

    record: Record
    lane: Lane
    is_aside: bool = False
    """Its session is parked: it is not sent but moved there."""


class Batch(NamedTuple):
    """The next events of the lanes; or, of a parked session, the oldest one."""

    entries: Sequence[Entry]
    is_parked: bool = False
    is_last: bool = False
    """Nothing more was waiting behind it."""

    @property
    def records(self) -> list[Record]:
        """What is to be sent."""
        return [entry.record for entry in self.entries if not entry.is_aside]


class Backlog:
    """Used by the one process that sends. Its methods raise OSError when a disk fails."""

    def __init__(self, spool_dir: Path, longest_wait: float) -> None:
        """`longest_wait` bounds, in seconds, how long a parked session waits for its next attempt."""
        self._folder = spool_dir
        self._longest_wait = longest_wait
        self._dead = DeadLetters(spool_dir)
        self._lanes: dict[str, Lane] = {}
        self._damaged_in_removed = 0
        self._parked = {path.name: Lane(path, has_writer=False) for path in _folders(spool_dir / PARKED)}

    def next_batch(self, now: float, most: int) -> Batch | None:
        """The oldest events of all processes, at most `most` and what one request may hold.

        Only what was emitted before this call is taken: every event emitted before one of those, by whichever
        process, is on disk already and stands before it.
        """
        horizon = int(now * 1_000_000)
        self._look_for_lanes()
        entries: list[Entry] = []
        size = 2
        for record, lane in self._merged(horizon, most):
            size += len(record.body) + 1
            if len(entries) == most or size > MAX_BATCH_BYTES:
                return Batch(entries)
            entries.append(Entry(record, lane, bool(self._parked) and _key(record) in self._parked))
        return Batch(entries, is_last=True) if entries else None

    def next_parked(self, now: float) -> Batch | None:
        """The oldest event of a parked session whose next attempt is due."""
        for key, lane in list(self._parked.items()):
            if lane.fill(1) == 0:
                del self._parked[key]
                lane.remove()
            elif self._due(lane, now) <= now:
                return Batch([Entry(lane.peek(), lane)], is_parked=True)
        return None

    def parked_wait(self, now: float) -> float | None:
        """Seconds until a parked session is due; None when none is parked."""
        due = [self._due(lane, now) for lane in self._parked.values()]
        return max(0.0, min(due) - now) if due else None

    def settle(self, batch: Batch, refusals: Sequence[str | None], now: float) -> int:
        """The batch was answered: `refusals` says of each sent event why it is dead, None where it was taken.

        Returns how many died.
        """
        refused = dict(zip(batch.records, refusals, strict=True))
        for record, refusal in refused.items():
            if refusal is not None:
                self._dead.add(record, refusal, now)
        self._move_aside([entry.record for entry in batch.entries if entry.is_aside])
        for lane in {id(entry.lane): entry.lane for entry in batch.entries}.values():
            own = [entry for entry in batch.entries if entry.lane is lane]
            parked = sum(entry.is_aside for entry in own)
            dead = sum(refused.get(entry.record) is not None for entry in own)
            lane.settle(delivered=len(own) - parked - dead, dead=dead, parked=parked)
            lane.progress.failures = 0
            lane.progress.next_attempt_at = 0.0
            lane.save()
        return sum(refusal is not None for refusal in refusals)

    def bury_expired(self, batch: Batch, before: float, reason: str, now: float) -> int:
        """Give up the events of a failed batch that were emitted before an instant; how many."""
        limit = int(before * 1_000_000)
        fresh = (n for n, entry in enumerate(batch.entries) if entry.record.emitted_at >= limit)
        expired = batch._replace(entries=batch.entries[: next(fresh, len(batch.entries))])
        return self.settle(expired, [f"too old: {reason}"] * len(expired.records), now)

    def park(self, batch: Batch, now: float, wait: float) -> None:
        """Put the session of a batch of one event aside; or leave it there for `wait` seconds more."""
        [(record, lane, _)] = batch.entries
        if not batch.is_parked:
            self._move_aside([record])
            lane.settle(parked=1)
            lane.save()
            lane = self._parked[_key(record)]
        lane.progress.failures += 1
        lane.progress.next_attempt_at = now + min(wait, self._longest_wait)
        lane.save()

    def damaged_bytes(self) -> int:
        """Bytes that could not be read since this process began to send."""
        return self._damaged_in_removed + sum(lane.damaged_bytes for lane in self._all_lanes())

    def close(self) -> None:
        """Let go of every lane."""
        for lane in self._all_lanes():
            lane.close()
        self._lanes, self._parked = {}, {}

    def _all_lanes(self) -> list[Lane]:
        return [*self._lanes.values(), *self._parked.values()]

    def _due(self, lane: Lane, now: float) -> float:
        """When a parked session is tried again; a clock that was set back does not put it off for longer."""
        progress = lane.progress
        progress.next_attempt_at = min(progress.next_attempt_at, now + self._longest_wait)
        return progress.next_attempt_at

    def _look_for_lanes(self) -> None:
        self._forget_removed(self._lanes)
        self._forget_removed(self._parked)
        for path in _folders(self._folder / LANES):
            if path.name not in self._lanes:
                self._add_lane(path)
        for name, lane in list(self._lanes.items()):
            if lane.is_finished():
                del self._lanes[name]
                self._damaged_in_removed += lane.damaged_bytes
                lane.remove()

    def _forget_removed(self, lanes: dict[str, Lane]) -> None:
        """Somebody deleted the spool, which must not stop what is emitted since."""
        for name, lane in list(lanes.items()):
            if not lane.folder.exists():
                del lanes[name]
                lane.close()

    def _add_lane(self, path: Path) -> None:
        if not path.name.startswith("."):
            with NO_FORK:
                self._lanes[path.name] = Lane(path)
            return
        with contextlib.suppress(FileNotFoundError):  # it has just got its name
            if time.time() - path.stat().st_mtime > _UNFINISHED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)

    def _merged(self, horizon: int, most: int) -> Iterator[tuple[Record, Lane]]:
        """The waiting events of all lanes in the order they were emitted."""
        lanes = list(self._lanes.values())
        heads = [(lane.peek().emitted_at, n, 0) for n, lane in enumerate(lanes) if lane.fill(most + 1)]
        heapq.heapify(heads)
        while heads:
            emitted_at, number, index = heads[0]
            if horizon < emitted_at < horizon + _MAX_CLOCK_STEP:
                return
            lane = lanes[number]
            yield lane.peek(index), lane
            index += 1
            if lane.waiting > index:
                heapq.heapreplace(heads, (lane.peek(index).emitted_at, number, index))
            else:
                heapq.heappop(heads)

    def _move_aside(self, records: Sequence[Record]) -> None:
        """Append to the lanes of parked sessions, safely: the lane they come from may then be removed."""
        for key in dict.fromkeys(map(_key, records)):
            folder = self._folder / PARKED / key
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            writer = LaneWriter(folder)
            try:
                for record in records:
                    if _key(record) == key:
                        writer.append(encode_frame(record))
                sync_and_close(writer.take_unsynced())
            finally:
                writer.close()
            if key not in self._parked:
                self._parked[key] = Lane(folder, has_writer=False)


def _key(record: Record) -> str:
    """A session's name on disk."""
    return hashlib.sha256(record.session_id.encode()).hexdigest()[:32]


def _folders(parent: Path) -> list[Path]:
    try:
        return list(parent.iterdir())
    except FileNotFoundError:
        return []
