"""Instants: whole microseconds since 1970-01-01T00:00:00Z, and their RFC 3339 text.

An integer means the same in Python, SQLite and PostgreSQL, has no time zone to lose, and sorts by itself.
"""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Final

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
EARLIEST: Final = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
LATEST: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,30})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


def now_instant() -> int:
    """The current time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def parse_instant(text: str) -> int:
    """Read an RFC 3339 date-time with an offset; digits past microseconds are cut.

    Raises ValueError with a reason fit to show: naive, impossible or out-of-range times.
    """
    if not RFC3339.fullmatch(text):
        raise ValueError("must be an RFC 3339 time with an offset, such as 2026-06-08T12:00:00.123Z")
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError("is not a possible date and time") from None
    instant = (moment - _EPOCH) // _MICROSECOND
    if not EARLIEST <= instant <= LATEST:
        raise ValueError("must lie within the years 0001 to 9999 in UTC")
    return instant


def format_instant(instant: int) -> str:
    """RFC 3339 in UTC with microseconds and `Z`."""
    moment = _EPOCH + timedelta(microseconds=instant)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
