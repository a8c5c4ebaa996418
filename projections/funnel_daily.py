"""`funnel_daily`: for each day (UTC), the sessions that began on it and how far they have come since.

It is a sum over the sessions' rows, so it follows their changes: what a session counted for before is taken
away, what it counts for now is added.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, Table, case, func, select

from portal_hooks.contract import FAILED_STAGE, STAGES
from portal_hooks.instants import DAY
from projections.driver_path import run_many
from projections.onboarding import Session
from projections.sessions import Change, ReadModel
from projections.tables import REACHED, funnel_daily

COUNTS: Final = ("sessions", *REACHED, "failed")


_COUNTED: Final = {
    (furthest, failed): (1, *(int(index <= furthest) for index in range(len(STAGES))), int(failed))
    for furthest in range(len(STAGES))
    for failed in (False, True)
}
"""What a session adds to its day, as COUNTS, by its furthest stage and whether it stands failed."""


def contribution(session: Session | None) -> tuple[int, tuple[int, ...]] | None:
    """The day a session counts for and what it adds there; None when the funnel ignores it."""
    if session is None or session.current_stage is None:
        return None
    # Known only by a failure, a session has started all the same.
    counts = _COUNTED[max(session.furthest, 0), session.current_stage == FAILED_STAGE]
    return session.first_event_at - session.first_event_at % DAY, counts


def follow(connection: Connection, changes: Sequence[Change], table: Table) -> None:
    """Bring the days in step with changed sessions, inside the caller's write transaction."""
    days: dict[int, list[int]] = defaultdict(lambda: [0] * len(COUNTS))
    for change in changes:
        was, now = contribution(change.before), contribution(change.after)
        if was == now:
            continue
        for sign, counted in ((-1, was), (1, now)):
            if counted:
                day, counts = counted
                days[day] = [total + sign * count for total, count in zip(days[day], counts, strict=True)]
    moved = [(day, *counts) for day, counts in sorted(days.items()) if any(counts)]
    run_many(connection, _add_sql(table), moved)
    if any(counts[0] < 0 for counts in days.values()):
        connection.execute(table.delete().where(table.c.sessions == 0))


def totals(sessions: Table) -> Select[Any]:
    """The whole table, as a query over the sessions' rows."""
    row = sessions.c
    # SQL's remainder of a negative number is negative; Python's is not.
    day = row.first_event_at - ((row.first_event_at % DAY) + DAY) % DAY
    furthest = func.coalesce(row.furthest_stage, STAGES[0])
    reached = (_count(furthest.in_(STAGES[index:])).label(name) for index, name in enumerate(REACHED))
    return (
        select(
            day.label("day"),
            func.count().label("sessions"),
            *reached,
            _count(row.current_stage == FAILED_STAGE).label("failed"),
        )
        .where(row.current_stage.is_not(None))
        .group_by(day)
    )


def _count(condition: Any) -> Any:
    return func.sum(case((condition, 1), else_=0))


def _add_sql(table: Table) -> str:
    columns = ", ".join(("day", *COUNTS))
    places = ", ".join("?" * (len(COUNTS) + 1))
    sums = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in COUNTS)
    conflict = f"ON CONFLICT (day) DO UPDATE SET {sums}"
    return f"INSERT INTO {table.name} ({columns}) VALUES ({places}) {conflict}"  # noqa: S608 - our own names


READ_MODEL: Final = ReadModel(funnel_daily, totals, follow)
