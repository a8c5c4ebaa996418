"""What may be asked of the funnel, read once for the JSON answers and the CSV files."""

from typing import Annotated, NamedTuple

from fastapi import Depends, Query

from ops_service.http.parameters import Instant, Now, Since, Until
from ops_service.http.windows import MAX_HOURS, Window, window
from ops_service.sessions.parameters import StalledAfter


class FunnelQuestion(NamedTuple):
    """Which funnel; instants in microseconds."""

    window: Window
    as_of: int | None
    now: int
    stalled_before: int


def funnel_question(
    now: Now,
    stalled_after: StalledAfter,
    hours: Annotated[float | None, Query(gt=0, le=MAX_HOURS)] = None,
    since: Since = None,
    until: Until = None,
    as_of: Annotated[Instant | None, Query(description="The funnel as it was known at this instant.")] = None,
) -> FunnelQuestion:
    """The window asked for and the moment it is seen from. Raises Problem 422."""
    seen_at = now if as_of is None else as_of
    return FunnelQuestion(window(hours, since, until, seen_at), as_of, seen_at, seen_at - stalled_after)


AskedFunnel = Annotated[FunnelQuestion, Depends(funnel_question)]
