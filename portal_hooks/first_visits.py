"""Has this session been here in the last 48 hours? Answered by files, and by Redis where hosts share one."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

from portal_hooks.log_once import LogOnce
from portal_hooks.settings import ConfigurationError

WINDOW_SECONDS: Final = 172_800
REDIS_KEY_PREFIX: Final = "ops:started:"
STARTED_ID_PREFIX: Final = "started:"
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

    def forget(self, session_id: str) -> None:
        """The visit came to nothing: the next one counts as the first."""


def started_event_id(session_id: str, now: float) -> str:
    """The id of the session's `onboarding.started` in the 48-hour period that `now` (Unix seconds) lies in.

    Hosts or processes that could not agree on who was first each emit an event of this id, with a time of its
    own. Ops keeps the first, and to the sender its conflict with the others is no refusal.
    """
    period = int(now // WINDOW_SECONDS)
    digest = hashlib.sha256(f"{period}:{session_id}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{STARTED_ID_PREFIX}{digest[:32]}"


class FileFirstVisits:
    """One empty file per session, in a folder per day so that old days are cheap to forget.

    Only one process can create the file, so those of one host agree. If the folder cannot be used every visit
    counts as the first: a repeated `started` is caught by its id, a missing one would be lost.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pruned_on = -1
        self._log = LogOnce(_logger)

    def is_first(self, session_id: str) -> bool:
        name = hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()
        now = time.time()
        try:
            return self._record(name, now)
        except OSError as error:
            self._log.warn("file", "cannot remember sessions under %s: %s", self._folder, error.strerror)
            return True

    def forget(self, session_id: str) -> None:
        name = hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()
        with contextlib.suppress(OSError):
            for mark in self._folder.glob(f"*/{name}"):
                mark.unlink(missing_ok=True)

    def _record(self, name: str, now: float) -> bool:
        today = int(now // _DAY_SECONDS)
        folders = [f"{self._folder}/{_day(today - age)}" for age in range(3)]
        if any(_is_fresh(f"{folder}/{name}", now) for folder in folders):
            return False
        mark = f"{folders[0]}/{name}"
        if not _create(mark):
            if _is_fresh(mark, now):  # by another process in this very moment
                return False
            os.utime(mark)
        if self._pruned_on != today and self._forget_days_before(_day(today - 2)):
            self._pruned_on = today
        return True

    def _forget_days_before(self, oldest: str) -> bool:
        """Remove some files, so few that no visit pays for a busy day long past; True when none is left."""
        past = [folder for folder in self._folder.iterdir() if folder.name < oldest and folder.is_dir()]
        for folder in past:
            for path in list(folder.iterdir())[:_PRUNED_PER_VISIT]:
                path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not empty yet, or another process was quicker
                folder.rmdir()
        return not past


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

    def forget(self, session_id: str) -> None:
        self._files.forget(session_id)
        with contextlib.suppress(*self._failure):
            self._client.delete(REDIS_KEY_PREFIX + session_id)


def first_visits(folder: Path, redis_url: str | None) -> FirstVisits:
    """Files under `folder`, joined by Redis when an address is given. Raises ConfigurationError."""
    files = FileFirstVisits(folder / "started")
    return RedisFirstVisits(redis_url, files) if redis_url else files


@lru_cache(maxsize=8)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * _DAY_SECONDS, UTC).date().isoformat()


def _is_fresh(path: str, now: float) -> bool:
    try:
        return now - os.stat(path).st_mtime < WINDOW_SECONDS  # noqa: PTH116 - a visit's request waits for it
    except FileNotFoundError:
        return False


def _create(mark: str) -> bool:
    """False when it exists already. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        os.close(os.open(mark, flags, 0o600))
    except FileNotFoundError:
        Path(mark).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _create(mark)
    except FileExistsError:
        return False
    return True
