"""Windows of time, as they are asked for."""

from typing import NamedTuple

from ops_service.http.problems import Problem
from portal_hooks.contract import FieldError
from portal_hooks.instants import EARLIEST, HOUR

MAX_HOURS = 24 * 366 * 10


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
