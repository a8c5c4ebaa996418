"""Has this session been here in the last 48 hours? Answered by files, and by Redis where hosts share one."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from portal_hooks.log_once import LogOnce
from portal_hooks.settings import ConfigurationError

WINDOW_SECONDS: Final = 172_800
REDIS_KEY_PREFIX: Final = "ops:started:"
# The portal's request waits for Redis, so a Redis that does not answer may cost it this once in a pause.
REDIS_TIMEOUT_SECONDS: Final = 0.1
REDIS_PAUSE_SECONDS: Final = 30.0

_DAY_SECONDS = 86_400
_PRUNED_PER_VISIT = 64
_logger = logging.getLogger(__name__)


class FirstVisits(Protocol):
    """Remembers sessions for 48 hours."""

    def is_first(self, session_id: str) -> bool:
        """Record a visit; True unless the session was recorded in the last 48 hours."""


def started_event_id(session_id: str, now: float) -> str:
    """The id of the session's `onboarding.started` in the 48-hour period that `now` (Unix seconds) lies in.

    Hosts or processes that could not agree on who was first emit the same id, and Ops keeps one of them.
    """
    period = int(now // WINDOW_SECONDS)
    digest = hashlib.sha256(f"{period}:{session_id}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"started:{digest[:32]}"


class FileFirstVisits:
    """One empty file per session, in a folder per day so that old days are cheap to forget.

    A lock file makes the processes of one host agree. If the folder cannot be used every visit counts as the
    first: a repeated `started` is caught by its id, a missing one would be lost.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = LogOnce(_logger)

    def is_first(self, session_id: str) -> bool:
        name = hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()
        now = time.time()
        try:
            with _locked(self._folder):
                return self._record(name, now)
        except OSError as error:
            self._log.warn("file", "cannot remember sessions under %s: %s", self._folder, error.strerror)
            return True

    def _record(self, name: str, now: float) -> bool:
        days = [now - age * _DAY_SECONDS for age in range(3)]
        folders = [self._folder / _day(moment) for moment in days]
        if any(_is_fresh(folder / name, now) for folder in folders):
            return False
        folders[0].mkdir(mode=0o700, exist_ok=True)
        (folders[0] / name).touch(mode=0o600)
        self._forget_days_before(folders[-1].name)
        return True

    def _forget_days_before(self, oldest: str) -> None:
        """Remove a bounded number of files, so that no visit pays for a busy day long past."""
        for folder in self._folder.iterdir():
            if folder.is_dir() and folder.name < oldest:
                for path in list(folder.iterdir())[:_PRUNED_PER_VISIT]:
                    path.unlink()
                if not any(folder.iterdir()):
                    folder.rmdir()


class RedisFirstVisits:
    """Files first, then Redis (`SET NX` with a TTL): what this host knows needs no question to the network.

    A Redis that fails is left alone for 30 seconds, and the files decide.
    """

    def __init__(self, redis_url: str, files: FirstVisits) -> None:
        """Raises ConfigurationError for a missing client library or a wrong address; does not connect yet."""
        try:
            import redis
        except ImportError:
            raise ConfigurationError(
                "REDIS_URL is set but the 'redis' package is not installed; install it, or unset REDIS_URL"
            ) from None
        try:
            self._client = redis.Redis.from_url(
                redis_url,
                socket_timeout=REDIS_TIMEOUT_SECONDS,
                socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
                retry=None,
            )
        except ValueError:
            raise ConfigurationError("REDIS_URL is not an address such as redis://127.0.0.1:6379/0") from None
        self._failure = (redis.RedisError, OSError)
        self._files = files
        self._log = LogOnce(_logger)
        self._asked_again_at = 0.0

    def is_first(self, session_id: str) -> bool:
        if not self._files.is_first(session_id):
            return False
        if time.monotonic() < self._asked_again_at:
            return True
        try:
            answer = self._client.set(REDIS_KEY_PREFIX + session_id, "1", nx=True, ex=WINDOW_SECONDS)
        except self._failure as error:
            self._asked_again_at = time.monotonic() + REDIS_PAUSE_SECONDS
            self._log.warn("redis", "Redis does not answer, sessions are remembered in files: %s", error)
            return True
        self._log.over("redis", "Redis answers again")
        return bool(answer)


def first_visits(folder: Path, redis_url: str | None) -> FirstVisits:
    """Files under `folder`, joined by Redis when an address is given. Raises ConfigurationError."""
    files = FileFirstVisits(folder / "started")
    return RedisFirstVisits(redis_url, files) if redis_url else files


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def _is_fresh(path: Path, now: float) -> bool:
    try:
        return now - path.stat().st_mtime < WINDOW_SECONDS
    except FileNotFoundError:
        return False


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
