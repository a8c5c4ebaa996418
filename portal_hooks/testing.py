"""For a portal's own tests: hooks that keep what they are told, and neither a file nor a network is touched.

hooks = RecordedHooks()
app = create_app(hooks)
...
assert hooks.types("session-1") == ["onboarding.started", "domain.validated"]
"""

from __future__ import annotations

import json
from typing import Any

from portal_hooks.event_encoding import EncodedEvent
from portal_hooks.moments import HookStats, OnboardMoments


class _Visits:
    """First visits, remembered for as long as the test runs."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def is_first(self, session_id: str) -> bool:
        is_first = session_id not in self._seen
        self._seen.add(session_id)
        return is_first

    def forget(self, session_id: str) -> None:
        self._seen.discard(session_id)


class RecordedHooks(OnboardMoments):
    """Takes the place of `OnboardHooks`. Events are checked as the real ones are; a wrong call, which the
    real hooks would only log, is in `problems`."""

    def __init__(self) -> None:
        super().__init__(_Visits())
        self.events: list[dict[str, Any]] = []
        """The envelopes, in the order they were emitted."""
        self.problems: list[str] = []
        self.is_closed = False

    def types(self, session_id: str | None = None) -> list[str]:
        """The types of what was emitted, of one session or of all."""
        return [event["event_type"] for event in self.of(session_id)]

    def of(self, session_id: str | None) -> list[dict[str, Any]]:
        """The events of one session, or all."""
        return [event for event in self.events if session_id in (None, event["session_id"])]

    def clear(self) -> None:
        """Forget the events and the problems, not the visits."""
        self.events.clear()
        self.problems.clear()

    def start(self) -> None:
        """There is nothing to start."""

    def flush(self, timeout: float = 5.0) -> bool:
        """There is nothing to wait for."""
        return True

    def close(self, timeout: float = 0.8) -> None:
        """Noted in `is_closed`."""
        self.is_closed = True

    def stats(self) -> HookStats:
        """Everything counts as delivered at once."""
        return HookStats(
            emitted=len(self.events),
            invalid=len(self.problems),
            delivered=len(self.events),
            refused=0,
            dropped=0,
            retries=0,
            pending=0,
            last_error=None,
            endpoint="ok",
            clock_skew_seconds=None,
        )

    def _keep(self, event: EncodedEvent, durable: bool) -> None:
        self.events.append(json.loads(event.body))

    def _note(self, outcome: str, moment: str, error: Exception) -> None:
        super()._note(outcome, moment, error)
        self.problems.append(f"{moment}: {type(error).__name__}: {error}")
