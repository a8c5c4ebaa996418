"""A log line once per cause: an outage of hours is one line in the portal's log, not one per request."""

import logging
import threading


class LogOnce:
    """Warns the first time a cause occurs, and again only after the cause was said to be over."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._open: set[str] = set()
        self._lock = threading.Lock()

    def warn(self, cause: str, message: str, *values: object) -> None:
        """Log `message` unless `cause` is already open."""
        with self._lock:
            known = cause in self._open
            self._open.add(cause)
        if not known:
            self._logger.warning(message + " (further ones are only counted)", *values)

    def over(self, cause: str, message: str, *values: object) -> None:
        """Say that an open cause has ended; silent when it was not open."""
        with self._lock:
            known = cause in self._open
            self._open.discard(cause)
        if known:
            self._logger.info(message, *values)
