"""Log lines for what may happen thousands of times a second, such as refusals under pressure."""

import logging
import time
from collections.abc import Callable
from typing import Final

INTERVAL_SECONDS: Final = 1.0

Clock = Callable[[], float]
"""Gives seconds that never go back."""


class _Turns:
    """Each message, a constant of the code, has its turn once a second at most, whatever its values."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_at: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def take(self, message: str) -> str | None:
        """The message with how many were left out before it; None when it is left out itself."""
        now = self._clock()
        if now < self._next_at.get(message, now):
            self._left_out[message] = self._left_out.get(message, 0) + 1
            return None
        self._next_at[message] = now + INTERVAL_SECONDS
        left_out = self._left_out.pop(message, 0)
        return f"{message} ({left_out} more before it)" if left_out else message


class SparingLog:
    """Writes a message once a second at most, and then how many were left out."""

    def __init__(self, logger: logging.Logger, clock: Clock = time.monotonic) -> None:
        self._logger = logger
        self._turns = _Turns(clock)

    def warning(self, message: str, *values: object) -> None:
        """Log `message`, a constant of the code, with its values."""
        if text := self._turns.take(message):
            self._logger.warning(text, *values)


class SparingWarnings(logging.Filter):
    """The same for the warnings of another's logger: those of the server, whose words are constants, too."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        super().__init__()
        self._turns = _Turns(clock)

    def filter(self, record: logging.LogRecord) -> bool:
        """False for what is left out."""
        if record.levelno != logging.WARNING:
            return True
        text = self._turns.take(str(record.msg))
        record.msg = text or record.msg
        return text is not None
