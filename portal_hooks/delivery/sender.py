"""What the sender does, a step at a time: take a batch, send it, act on the answer."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from portal_hooks.contract import MAX_BATCH_ITEMS
from portal_hooks.delivery.breaker import Breaker, EndpointState, Pace
from portal_hooks.delivery.client import Answer, Client, DeliveryFailure
from portal_hooks.log_once import LogOnce
from portal_hooks.spool.backlog import Backlog, Batch

AGE_LIMIT_SECONDS: Final = 7 * 86_400.0
PROBE_ITEMS: Final = 20
"""An Ops in trouble is asked with few events."""
CLOCK_SKEW_SECONDS: Final = 60.0
"""From here on a clock's error is reported. Ops refuses signatures that are 300 seconds off."""


class Sender:
    """Empties a spool folder into Ops. Used by one process at a time; not thread-safe."""

    def __init__(
        self,
        spool_dir: Path,
        client: Client,
        *,
        pace: Pace = Pace(),  # noqa: B008 - an immutable tuple
        age_limit: float = AGE_LIMIT_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.last_error: str | None = None
        self._client = client
        self._pace = pace
        self._age_limit = age_limit
        self._clock = clock
        self._backlog = Backlog(spool_dir, pace.longest_retry_after)
        self._breaker = Breaker(spool_dir, client.fingerprint(), pace)
        self._limit = MAX_BATCH_ITEMS
        self._is_parked_turn = False
        self._log = LogOnce(logging.getLogger(__name__))

    @property
    def state(self) -> EndpointState:
        """What is known of Ops."""
        return self._breaker.state

    def step(self) -> float | None:
        """One attempt, if one may be made. Seconds until the next step has something to do, None if that
        depends on others. Raises OSError when a disk fails."""
        now = self._clock()
        wait = self._breaker.wait(now)
        if wait is None or wait > 0:
            return wait
        batch = self._choose(now)
        self._report_damage()
        if batch is None:
            return self._backlog.parked_wait(now)
        _let_others_run()
        if not batch.records:
            self._backlog.settle(batch, (), now)
            return 0.0
        answer = self._client.post(batch.records)
        self._note_clock_skew(answer)
        _let_others_run()
        if answer.failure is None:
            self._settle(batch, answer)
            # Events come one by one: sending each at once would cost the portal more than waiting a little.
            return self._backlog.parked_wait(now) if batch.is_last else 0.0
        self.counts["retries"] += 1
        self.last_error = answer.reason
        return self._react(batch, answer)

    def close(self) -> None:
        """Let go of the lanes and the connection."""
        self.abandon()
        self._client.close()

    def abandon(self) -> None:
        """Let go of the lanes only: a forked child may not touch its parent's connection."""
        self._backlog.close()

    def _choose(self, now: float) -> Batch | None:
        """Parked sessions and the others by turns; to probe an Ops in trouble, the others go first."""
        self._is_parked_turn = not self._is_parked_turn and not self.state.failures
        if self._is_parked_turn and (batch := self._backlog.next_parked(now)):
            return batch
        most = min(self._limit, PROBE_ITEMS) if self.state.failures else self._limit
        return self._backlog.next_batch(now, most) or self._backlog.next_parked(now)

    def _settle(self, batch: Batch, answer: Answer) -> None:
        self._limit = min(MAX_BATCH_ITEMS, self._limit * 2)
        self._note_alive()
        dead = self._backlog.settle(batch, answer.refusals, self._clock())
        if dead:
            self.last_error = next(reason for reason in answer.refusals if reason is not None)
            self._log.warn("refused", "Ops refused an event for good, it is kept aside: %s", self.last_error)

    def _react(self, batch: Batch, answer: Answer) -> float:
        if answer.failure is DeliveryFailure.UNAUTHORISED:
            self._pause(answer)
        elif answer.failure is DeliveryFailure.GONE:
            self._stop(answer)
        elif answer.failure is DeliveryFailure.UNREACHABLE:
            self._back_off(answer)
        elif len(batch.entries) > 1:
            return self._send_smaller(batch, answer)
        elif answer.failure is DeliveryFailure.REFUSED:
            self._settle(batch, answer._replace(refusals=[answer.reason]))
            return 0.0
        else:
            self._park(batch, answer)
            return 0.0
        self._bury_expired(batch, answer)
        return 0.0

    def _send_smaller(self, batch: Batch, answer: Answer) -> float:
        """Halve, to find the event that Ops stumbles over, and part it from those only moved aside; while
        all is well otherwise, soon."""
        self._limit = max(1, len(batch.entries) // 2)
        if answer.failure is DeliveryFailure.REFUSED:
            self._note_alive()
            return 0.0
        if self.state.failures or answer.retry_after:
            self._back_off(answer)
            return 0.0
        return self._pace.backoff(1)

    def _park(self, batch: Batch, answer: Answer) -> None:
        """Ops stumbles over this event, or over everything: others may go first, and the breaker counts.

        A session that was parked already does not count against an Ops that takes the others.
        """
        if not batch.is_parked or self.state.failures:
            self._back_off(answer)
        if self._bury_expired(batch, answer):
            return
        failures = batch.entries[0].lane.progress.failures + 1 if batch.is_parked else 1
        wait = max(self._pace.backoff(failures), answer.retry_after)
        self._backlog.park(batch, self._clock(), wait)
        self._log.warn("parked", "Ops stumbles over an event, its session waits aside: %s", answer.reason)

    def _bury_expired(self, batch: Batch, answer: Answer) -> int:
        now = self._clock()
        dead = self._backlog.bury_expired(batch, now - self._age_limit, answer.reason, now)
        if dead:
            hours = self._age_limit / 3600
            self._log.error("expired", "events were given up after %d hours, see ops-portal-outbox", hours)
        return dead

    def _note_alive(self) -> None:
        if self._breaker.succeeded(self._clock()):
            for cause in ("unreachable", "paused", "stopped"):
                self._log.over(cause, "Ops at %s takes events again", self._client.batch_url)

    def _back_off(self, answer: Answer) -> None:
        self._breaker.failed(self._clock(), answer.reason, answer.retry_after)
        url = self._client.batch_url
        self._log.warn("unreachable", "Ops at %s does not take events: %s", url, answer.reason)

    def _pause(self, answer: Answer) -> None:
        self._breaker.pause(self._clock(), answer.reason)
        self._log.error(
            "paused",
            "Ops at %s refuses this portal, deliveries pause (events are kept). Check OPS_WEBHOOK_SECRET, "
            "Ops' allowed networks and this host's clock (%s): %s",
            self._client.batch_url,
            self._clock_text(),
            answer.reason,
        )

    def _stop(self, answer: Answer) -> None:
        self._breaker.stop(self._clock(), answer.reason)
        self._log.error(
            "stopped",
            "Ops says that %s is gone, deliveries stop (events are kept). Set OPS_WEBHOOK_URL, or run "
            "'ops-portal-outbox flush' to try again: %s",
            self._client.batch_url,
            answer.reason,
        )

    def _note_clock_skew(self, answer: Answer) -> None:
        if answer.server_time is None:
            return
        skew = answer.server_time - self._clock()
        self._breaker.note_clock_skew(skew)
        if abs(skew) >= CLOCK_SKEW_SECONDS:
            self._log.error("clock", "this host's clock is off: %s", self._clock_text())
        else:
            self._log.over("clock", "this host's clock agrees with Ops' again")

    def _clock_text(self) -> str:
        skew = self.state.clock_skew
        if skew is None or abs(skew) < CLOCK_SKEW_SECONDS:
            return "it agrees with Ops'" if skew is not None else "Ops did not tell the time"
        return f"Ops' clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} it"

    def _report_damage(self) -> None:
        damaged = self._backlog.damaged_bytes()
        if damaged > self.counts["damaged_bytes"]:
            self.counts["damaged_bytes"] = damaged
            self._log.warn("damaged", "%d bytes of the spool are torn or damaged: passed over", damaged)


def _let_others_run() -> None:
    """Between two stretches of work, let the portal's threads have the interpreter: they would otherwise wait
    for it, for up to 5 ms. Only a real pause makes sure that they get it."""
    time.sleep(0.000_05)
