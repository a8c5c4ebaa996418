"""When Ops may be asked again: backoff, breaker, pause and stop. Kept in a file, so that a restart obeys.

A closed breaker backs off exponentially with full jitter. After `TRIPS_AFTER` failures in a row the breaker
opens: one attempt, the probe, per interval; its success closes the breaker.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

FILE: Final = "endpoint.json"
RETRY_NOW: Final = "retry-now"
TRIPS_AFTER: Final = 5


class Condition(StrEnum):
    """What is known of Ops."""

    OK = "ok"
    BACKING_OFF = "backing off"
    OPEN = "breaker open"
    PAUSED = "paused"
    """It refuses our signature or our address: somebody has to look."""
    STOPPED = "stopped"
    """It said that the address is gone: nothing is sent until the settings change or somebody asks for it."""


class Pace(NamedTuple):
    """How long to wait, in seconds."""

    first: float = 0.2
    """The ceiling of the first backoff; doubles with each failure."""
    longest: float = 30.0
    open_interval: float = 30.0
    paused_interval: float = 300.0
    longest_retry_after: float = 3600.0

    def backoff(self, failures: int) -> float:
        """Full jitter: anything up to the ceiling, so that portals do not come back in step."""
        ceiling = min(self.longest, self.first * 2 ** min(max(failures - 1, 0), 32))
        return random.uniform(0, ceiling)


@dataclass(frozen=True)
class EndpointState:
    """What is kept in the file."""

    fingerprint: str = ""
    """Of address and secret: with others, Ops is asked again at once."""
    condition: Condition = Condition.OK
    failures: int = 0
    next_attempt_at: float = 0.0
    delay: float = 0.0
    since: float = 0.0
    reason: str | None = None
    clock_skew: float | None = None
    """Seconds that Ops' clock is ahead of ours."""

    @classmethod
    def read(cls, spool_dir: Path) -> EndpointState:
        """What the file says; the beginning when there is none that can be read."""
        try:
            facts = json.loads((spool_dir / FILE).read_bytes())
            return cls(**facts | {"condition": Condition(facts["condition"])})
        except (OSError, ValueError, TypeError, KeyError):
            return cls()


class Breaker:
    """Decides when the next attempt may be made. Used by one process at a time, the one that sends."""

    def __init__(self, spool_dir: Path, fingerprint: str, pace: Pace) -> None:
        self._folder = spool_dir
        self._pace = pace
        kept = EndpointState.read(spool_dir)
        known = kept.fingerprint == fingerprint
        self.state = kept if known else EndpointState(fingerprint)

    def wait(self, now: float) -> float | None:
        """Seconds until the next attempt may be made; None when none may."""
        if self._was_asked_to_retry():
            self._change(now, Condition.OK, None, 0.0, failures=0)
        state = self.state
        if state.condition is Condition.STOPPED:
            return None
        if state.next_attempt_at - now > state.delay:  # the clock was set back
            self.state = replace(state, next_attempt_at=now + state.delay)
        return max(0.0, self.state.next_attempt_at - now)

    def succeeded(self, now: float) -> bool:
        """Ops took something; True when it had been in trouble before."""
        if self.state.condition is Condition.OK and not self.state.failures:
            return False
        self._change(now, Condition.OK, None, 0.0, failures=0)
        return True

    def failed(self, now: float, reason: str, retry_after: float) -> None:
        """An attempt did not come through."""
        failures = self.state.failures + 1
        is_open = failures >= TRIPS_AFTER
        wait = self._pace.open_interval * random.uniform(1, 1.5) if is_open else self._pace.backoff(failures)
        delay = max(wait, min(retry_after, self._pace.longest_retry_after))
        condition = Condition.OPEN if is_open else Condition.BACKING_OFF
        self._change(now, condition, reason, delay, failures)

    def pause(self, now: float, reason: str) -> None:
        """Ops refuses us; ask again only rarely."""
        self._change(now, Condition.PAUSED, reason, self._pace.paused_interval, self.state.failures + 1)

    def stop(self, now: float, reason: str) -> None:
        """Ops is gone from this address for good."""
        self._change(now, Condition.STOPPED, reason, 0.0, self.state.failures + 1)

    def note_clock_skew(self, seconds: float) -> None:
        """What the newest answer's `Date` said; kept with the next change."""
        self.state = replace(self.state, clock_skew=seconds)

    def _change(
        self, now: float, condition: Condition, reason: str | None, delay: float, failures: int
    ) -> None:
        since = self.state.since if condition is self.state.condition else now
        self.state = replace(
            self.state,
            condition=condition,
            failures=failures,
            next_attempt_at=now + delay,
            delay=delay,
            since=since,
            reason=reason,
        )
        # A full disk must not stop deliveries; only a restart would then ask Ops too early.
        with contextlib.suppress(OSError):
            unfinished = self._folder / f"{FILE}.new"
            unfinished.write_text(json.dumps(asdict(self.state), indent=1), encoding="utf-8")
            unfinished.replace(self._folder / FILE)

    def _was_asked_to_retry(self) -> bool:
        try:
            (self._folder / RETRY_NOW).unlink()
        except OSError:
            return False
        return True


def ask_to_retry(spool_dir: Path) -> None:
    """Have whichever process sends forget pause, stop and backoff. Raises OSError."""
    os.close(os.open(spool_dir / RETRY_NOW, os.O_WRONLY | os.O_CREAT, 0o600))
