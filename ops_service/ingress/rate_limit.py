"""How many events a source may send: a token bucket each, a second's worth deep."""

import time
from collections.abc import Callable


class RateLimit:
    """Belongs to the event loop; keeps one small entry per source."""

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that never go back."""
        self._per_second = per_second
        self._clock = clock
        self._full_at: dict[str, float] = {}

    def take(self, source: str, events: int) -> float:
        """Let the events pass and return 0, or return the seconds to wait before trying again.

        A delivery larger than the bucket passes when the bucket is full, or it never could.
        """
        now = self._clock()
        full_at = max(self._full_at.get(source, now), now)
        missing = (full_at - now) * self._per_second
        room = self._per_second - missing
        if events > room and missing > 0:
            return (min(events, self._per_second) - room) / self._per_second
        self._full_at[source] = full_at + events / self._per_second
        return 0.0
