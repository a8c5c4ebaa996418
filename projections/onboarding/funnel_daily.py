"""`funnel_daily`: for each day (UTC), the sessions that began on it and how far they have come since.

It is a sum over the sessions' rows, so it follows their changes: what a session counted for before is taken
away, what it counts for now is added.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, Table, case, func, select

from portal_hooks.contract import FAILED_STAGE, STAGES
from portal_hooks.instants import DAY
from projections.database.bulk import run_many
from projections.database.tables import REACHED
from projections.onboarding.fold import Session
from projections.onboarding.rows import Change

COUNTS: Final = ("sessions", *REACHED, "failed")


class Standing(NamedTuple):
    """All of a session that the table tells."""

    day: int
    furthest: int
    failed: bool

    def counts(self) -> tuple[int, ...]:
        """What such a session adds to its day, as COUNTS."""
        return 1, *(int(index <= self.furthest) for index in range(len(STAGES))), int(self.failed)


def standing(session: Session | None) -> Standing | None:
    """Where a session stands; None when the funnel ignores it."""
    stage = session and session.current_stage
    if session is None or stage is None:
        return None
    # Known only by a failure, a session has started all the same.
    furthest = max(session.furthest, 0)
    return Standing(session.first_event_at - session.first_event_at % DAY, furthest, stage == FAILED_STAGE)


def follow(connection: Connection, changes: Sequence[Change], table: Table) -> None:
    """Bring the days in step with changed sessions, inside the caller's write transaction."""
    moved: dict[Standing | None, int] = defaultdict(int)
    for before, after in changes:
        moved[standing(before)] -= 1
        moved[standing(after)] += 1
    days: dict[int, list[int]] = defaultdict(lambda: [0] * len(COUNTS))
    for where, sessions in moved.items():
        if where and sessions:
            added = zip(days[where.day], where.counts(), strict=True)
            days[where.day] = [total + sessions * count for total, count in added]
    run_many(connection, _add_sql(table), [(day, *counts) for day, counts in sorted(days.items())])
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
