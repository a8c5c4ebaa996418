"""Direct delivery: a bounded queue in memory and one background thread that posts an event at a time.

What it does not do: it keeps nothing on disk, so what was not delivered yet is lost when the process is
killed, and it sends no batches. While the process lives it delivers in order and retries until Ops answers.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import httpx

from portal_hooks.log_once import LogOnce
from portal_hooks.signing import headers_for

# Answers that will be the same however often the event is sent.
REFUSALS: Final = frozenset({400, 409, 413, 415, 422})
MAX_RETRY_AFTER_SECONDS: Final = 300.0


class Delivery(NamedTuple):
    """One event, serialised once: every attempt sends the same id and the same bytes."""

    event_id: str
    body: bytes


class Backoff(NamedTuple):
    """Exponential backoff with full jitter, in seconds."""

    first: float = 0.2
    longest: float = 30.0

    def delay(self, attempt: int) -> float:
        ceiling = min(self.longest, self.first * 2 ** min(attempt, 32))
        return random.uniform(0, ceiling)


@dataclass
class _Lane:
    """The queue and thread of one process; a forked child begins with its own."""

    pid: int = field(default_factory=os.getpid)
    changed: threading.Condition = field(default_factory=threading.Condition)
    waiting: deque[Delivery] = field(default_factory=deque)
    counts: Counter[str] = field(default_factory=Counter)
    last_error: str | None = None
    thread: threading.Thread | None = None
    closing: bool = False

    def head(self) -> Delivery | None:
        """The oldest waiting delivery, once there is one; None when closing."""
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.closing)
            return None if self.closing else self.waiting[0]

    def settle(self, outcome: str) -> None:
        with self.changed:
            self.waiting.popleft()
            self.counts[outcome] += 1
            self.changed.notify_all()

    def postpone(self, seconds: float) -> None:
        with self.changed:
            self.counts["retries"] += 1
            self.changed.wait_for(lambda: self.closing, timeout=seconds)


class DirectSender:
    """Posts signed events to one address. Its methods may be called from any thread and never wait for Ops,
    except `flush` and `close`, which wait as long as they are told to."""

    def __init__(
        self,
        url: str,
        key: bytes,
        *,
        capacity: int = 10_000,
        timeout: float = 5.0,
        backoff: Backoff = Backoff(),  # noqa: B008 - an immutable tuple
    ) -> None:
        self._url = url
        self._key = key
        self._capacity = capacity
        self._timeout = timeout
        self._backoff = backoff
        self._log = LogOnce(logging.getLogger(__name__))
        self._current = _Lane()

    def submit(self, delivery: Delivery) -> bool:
        """Queue one delivery; False when the queue is full or the sender closed, which is counted."""
        lane = self._lane()
        with lane.changed:
            if lane.closing or len(lane.waiting) >= self._capacity:
                lane.counts["dropped"] += 1
                return False
            lane.waiting.append(delivery)
            if lane.thread is None:
                lane.thread = threading.Thread(target=self._run, args=(lane,), name="ops-hooks", daemon=True)
                lane.thread.start()
            lane.changed.notify_all()
        return True

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until nothing waits any more; True when that came about."""
        lane = self._lane()
        with lane.changed:
            return lane.changed.wait_for(lambda: not lane.waiting, timeout=timeout)

    def close(self, timeout: float) -> int:
        """Flush, then stop, within about `timeout` seconds; the number of events left undelivered."""
        deadline = time.monotonic() + timeout
        lane = self._lane()
        if not lane.closing:
            self.flush(timeout)
        with lane.changed:
            lane.closing = True
            lane.changed.notify_all()
        if lane.thread is not None:
            lane.thread.join(max(0.0, deadline - time.monotonic()))
        return len(lane.waiting)

    def counts(self) -> dict[str, int]:
        """Of this process: `delivered`, `refused`, `dropped`, `retries`, `pending`."""
        lane = self._lane()
        with lane.changed:
            names = ("delivered", "refused", "dropped", "retries")
            return {name: lane.counts[name] for name in names} | {"pending": len(lane.waiting)}

    @property
    def last_error(self) -> str | None:
        """What went wrong at the newest failed attempt, in words."""
        return self._lane().last_error

    def _lane(self) -> _Lane:
        if self._current.pid != os.getpid():
            self._current = _Lane()
        return self._current

    def _run(self, lane: _Lane) -> None:
        # The address is on the LAN: a proxy set for the portal's other traffic must not catch it.
        with httpx.Client(timeout=self._timeout, trust_env=False) as client:
            attempt = 0
            while (delivery := lane.head()) is not None:
                delay = self._attempt(client, lane, delivery, attempt)
                attempt = 0 if delay is None else attempt + 1
                if delay is not None:
                    lane.postpone(delay)

    def _attempt(self, client: httpx.Client, lane: _Lane, delivery: Delivery, attempt: int) -> float | None:
        """Send once; the seconds to wait before the next attempt, or None when the delivery is settled."""
        try:
            response = self._post(client, delivery)
        except Exception as error:  # whatever it was, a dead thread would stop every later event
            lane.last_error = f"{type(error).__name__}: {error}"
            self._log.warn("unreachable", "Ops at %s cannot be reached: %s", self._url, lane.last_error)
            return self._backoff.delay(attempt)
        if response.is_success:
            self._log.over("unreachable", "Ops at %s takes events again", self._url)
            lane.settle("delivered")
            return None
        lane.last_error = f"HTTP {response.status_code}: {response.text[:200]}"
        if response.status_code in REFUSALS:
            self._log.warn("refused", "Ops refused event %s for good: %s", delivery.event_id, lane.last_error)
            lane.settle("refused")
            return None
        self._log.warn("unreachable", "Ops at %s does not take events: %s", self._url, lane.last_error)
        return max(self._backoff.delay(attempt), _retry_after(response))

    def _post(self, client: httpx.Client, delivery: Delivery) -> httpx.Response:
        headers = headers_for(self._key, delivery.event_id, delivery.body, int(time.time()))
        return client.post(
            self._url, content=delivery.body, headers={"content-type": "application/json", **headers}
        )


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    seconds = float(text) if text.isascii() and text.isdigit() else 0.0
    return min(seconds, MAX_RETRY_AFTER_SECONDS)
