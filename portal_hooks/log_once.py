"""A log line once per cause: an outage of hours is one line in the portal's log, not one per request."""

import logging


class LogOnce:
    """Speaks up the first time a cause occurs, and again only after the cause was said to be over.

    Without a lock, which a forked child could inherit locked: at worst two threads both speak.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._open: set[str] = set()

    def warn(self, cause: str, message: str, *values: object) -> None:
        """Log `message` unless `cause` is already open."""
        self._say(logging.WARNING, cause, message, values)

    def error(self, cause: str, message: str, *values: object) -> None:
        """The same, for what somebody has to mend."""
        self._say(logging.ERROR, cause, message, values)

    def over(self, cause: str, message: str, *values: object) -> None:
        """Say that an open cause has ended; silent when it was not open."""
        if cause in self._open:
            self._open.discard(cause)
            self._logger.info(message, *values)

    def _say(self, level: int, cause: str, message: str, values: tuple[object, ...]) -> None:
        if cause not in self._open:
            self._open.add(cause)
            self._logger.log(level, message + " (further ones are only counted)", *values)
