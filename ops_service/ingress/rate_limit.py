"""How many events a source may send: a token bucket each, a second's worth deep."""

import time
from collections.abc import Callable
from typing import Final

_ROUNDING: Final = 1e-6


class RateLimit:
    """Belongs to the event loop; keeps one small entry per source."""

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that never go back."""
        self._per_second = per_second
        self._clock = clock
        self._full_at: dict[str, float] = {}

    def take(self, source: str, events: int, counted: int = 0) -> float:
        """Let the events pass and return 0, or return the seconds to wait before trying again.

        A delivery larger than the bucket passes when the bucket is full, or it never could. `counted` is what
        the same delivery has taken before; it stays taken where the delivery does not pass.
        """
        now = self._clock()
        full_at = max(self._full_at.get(source, now), now)
        missing = (full_at - now) * self._per_second
        by_others = missing - counted
        if by_others > _ROUNDING and events > self._per_second - by_others + _ROUNDING:
            return (min(events, self._per_second) + missing - self._per_second) / self._per_second
        self._full_at[source] = full_at + max(0, events - counted) / self._per_second
        return 0.0
