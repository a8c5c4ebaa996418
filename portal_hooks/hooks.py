"""OnboardHooks: what a portal calls at each moment of its wizard, with a spool and a sender behind it."""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Mapping

from portal_hooks.delivery.breaker import Pace
from portal_hooks.delivery.client import TIMEOUT_SECONDS, Client
from portal_hooks.delivery.sender import AGE_LIMIT_SECONDS, Sender
from portal_hooks.delivery.threads import SenderThreads
from portal_hooks.event_encoding import EncodedEvent
from portal_hooks.first_visits import first_visits
from portal_hooks.moments import HookStats, OnboardMoments
from portal_hooks.settings import HookSettings, read_settings
from portal_hooks.spool.writer import Spool

_living: weakref.WeakSet[OnboardHooks] = weakref.WeakSet()


class OnboardHooks(OnboardMoments):
    """Reports the moments of an onboarding wizard to Ops.

    What a moment returned an id for is on disk: it is delivered at least once, in order per session, even if
    this process is killed. Nothing is started or opened before the first event, so that an instance may be
    made before a server forks its workers.
    """

    def __init__(
        self,
        settings: HookSettings,
        *,
        pace: Pace = Pace(),  # noqa: B008 - an immutable tuple
        timeout: float = TIMEOUT_SECONDS,
        age_limit: float = AGE_LIMIT_SECONDS,
    ) -> None:
        """`timeout` is for each step of a request, in seconds. Raises ConfigurationError."""
        super().__init__(first_visits(settings.spool_dir, settings.redis_url))
        self._spool = Spool(settings.spool_dir, limit_bytes=settings.spool_limit_bytes)

        def new_sender() -> Sender:
            client = Client(settings.batch_url, settings.key, timeout=timeout)
            return Sender(settings.spool_dir, client, pace=pace, age_limit=age_limit)

        self._sender = SenderThreads(self._spool, new_sender)
        _living.add(self)
        atexit.register(self.close)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> OnboardHooks:
        """Configured by OPS_WEBHOOK_URL, OPS_WEBHOOK_SECRET, OPS_SPOOL_DIR and, optionally, REDIS_URL and
        OPS_SPOOL_LIMIT_MB.

        Raises ConfigurationError, whose message is one line for whoever starts the portal.
        """
        return cls(read_settings(environ))

    def start(self) -> None:
        """Begin at once to deliver what earlier processes left; otherwise the first event does that.

        To be called in the process that serves, not before it is forked.
        """
        self._sender.start()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait up to `timeout` seconds for what this process emitted; True when nothing waits any more."""
        return self._sender.flush(timeout)

    def close(self, timeout: float = 0.8) -> None:
        """Deliver what can be delivered within `timeout` seconds and stop; what is left stays on disk for the
        next process. What is emitted afterwards is kept there too. May be called twice."""
        atexit.unregister(self.close)
        left = self._sender.close(timeout)
        if left:
            self._log.warn("closed", "events that wait on disk for the portal's next start: %d", left)

    def stats(self) -> HookStats:
        """What became of the events so far."""
        progress = self._sender.progress()
        state = self._sender.state()
        return HookStats(
            emitted=self._spool.appended,
            invalid=self._counts["invalid"],
            delivered=progress.delivered,
            refused=progress.dead,
            dropped=self._counts["dropped"],
            retries=self._sender.count("retries"),
            pending=self._sender.pending(),
            last_error=self._sender.last_error,
            endpoint=state.condition.value,
            clock_skew_seconds=state.clock_skew,
        )

    def _keep(self, event: EncodedEvent, durable: bool) -> None:
        try:
            self._spool.append(event.event_id, event.session_id, event.body, durable=durable)
        finally:
            # Also where there is no room: delivering what earlier processes left makes some.
            self._sender.start()

    def _after_fork(self) -> None:
        self._sender.after_fork()
        self._spool.after_fork()
        self._forget_counts()


def _after_fork_in_child() -> None:
    for hooks in list(_living):
        hooks._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
