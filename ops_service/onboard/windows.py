"""Windows of time as query parameters."""

from typing import Annotated, NamedTuple

from fastapi import Query
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from ops_service.problems import Problem
from portal_hooks.contract import FieldError
from portal_hooks.instants import EARLIEST, HOUR, format_instant, parse_instant

MAX_HOURS = 24 * 366 * 10


def _read(value: object) -> object:
    if isinstance(value, str):
        # In a query an unescaped "+" of an offset arrives as a blank.
        return parse_instant(value.replace(" ", "+"))
    return value


Instant = Annotated[
    int,
    BeforeValidator(_read),
    PlainSerializer(format_instant, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""Microseconds since 1970 inside; RFC 3339 in UTC with microseconds outside."""

Since = Annotated[Instant | None, Query(description="From this instant on (RFC 3339).")]
Until = Annotated[Instant | None, Query(description="Before this instant (RFC 3339).")]


class Window(NamedTuple):
    """`since` included; `until` excluded, None when open: a portal's clock may run a little ahead."""

    since: int
    until: int | None


def window(hours: float | None, since: int | None, until: int | None, now: int) -> Window:
    """The window asked for; without `since` the last `hours` before `now`. Raises Problem 422."""
    if since is None:
        end = now if until is None else until
        return Window(max(EARLIEST, end - int((hours or 48) * HOUR)), until)
    if hours is not None:
        raise Problem.wrong(FieldError("/query/hours", "give either hours or since"))
    require_order(since, until)
    if until is None and since >= now:
        raise Problem.wrong(FieldError("/query/since", "must lie in the past"))
    return Window(since, until)


def require_order(since: int | None, until: int | None) -> None:
    """Raises Problem 422 for a window that ends where it begins, or before."""
    if since is not None and until is not None and until <= since:
        raise Problem.wrong(FieldError("/query/until", "must be later than since"))
