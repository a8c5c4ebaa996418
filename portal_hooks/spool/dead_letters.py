"""Events that Ops refused for good, or that grew too old: one JSON file each, for people to decide about."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from portal_hooks.instants import format_instant
from portal_hooks.spool.frames import Record

DEAD: Final = "dead"
_SUFFIX: Final = ".json"


@dataclass(frozen=True)
class DeadLetter:
    """One event and why it was given up."""

    event_id: str
    session_id: str
    reason: str
    emitted_at: str
    died_at: str
    event: dict[str, Any]


class DeadLetters:
    """The dead letters of a spool folder."""

    def __init__(self, spool_dir: Path) -> None:
        self._folder = spool_dir / DEAD

    def add(self, record: Record, reason: str, now: float) -> None:
        """Keep an event; again for the same id, the newer reason. Raises OSError."""
        letter = DeadLetter(
            record.event_id,
            record.session_id,
            reason,
            format_instant(record.emitted_at),
            format_instant(int(now * 1_000_000)),
            json.loads(record.body),
        )
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._path(record.event_id)
        unfinished = path.with_suffix(".new")
        with open(unfinished, "w", encoding="utf-8", opener=_private) as file:
            json.dump(asdict(letter), file, ensure_ascii=False, indent=1)
            file.flush()
            os.fdatasync(file.fileno())
        unfinished.replace(path)

    def __iter__(self) -> Iterator[DeadLetter]:
        """All of them, the one that died first at the front. Raises OSError where one cannot be read."""
        letters = [_read(path) for path in self._folder.glob(f"*{_SUFFIX}")]
        return iter(sorted(letters, key=lambda letter: (letter.died_at, letter.emitted_at)))

    def count(self) -> int:
        return sum(1 for _ in self._folder.glob(f"*{_SUFFIX}"))

    def get(self, event_id: str) -> DeadLetter | None:
        path = self._path(event_id)
        return _read(path) if path.exists() else None

    def drop(self, event_id: str) -> None:
        """Forget an event. Raises OSError."""
        self._path(event_id).unlink(missing_ok=True)

    def _path(self, event_id: str) -> Path:
        return self._folder / f"{hashlib.sha256(event_id.encode()).hexdigest()[:32]}{_SUFFIX}"


def _read(path: Path) -> DeadLetter:
    try:
        return DeadLetter(**json.loads(path.read_bytes()))
    except (ValueError, TypeError):
        raise OSError(f"{path} is no dead letter; look at it, and move it elsewhere") from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
