"""Log lines for what may happen thousands of times a second, such as refusals under pressure."""

import logging
import time
from collections.abc import Callable
from typing import Final

INTERVAL_SECONDS: Final = 1.0


class SparingLog:
    """Writes a message once a second at most, whatever its values, and then how many were left out."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that never go back."""
        self._logger = logger
        self._clock = clock
        self._next_at: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warning(self, message: str, *values: object) -> None:
        """Log `message`, a constant of the code, with its values."""
        now = self._clock()
        if now < self._next_at.get(message, now):
            self._left_out[message] = self._left_out.get(message, 0) + 1
            return
        self._next_at[message] = now + INTERVAL_SECONDS
        left_out = self._left_out.pop(message, 0)
        self._logger.warning(f"{message} ({left_out} more before it)" if left_out else message, *values)
