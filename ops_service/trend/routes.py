"""GET /api/v1/onboard/trend: conversion by the day on which sessions began."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel
from sqlalchemy import select

from ops_service.auth.guard import Reader, guarded_router
from ops_service.http.parameters import DatabaseOf, Instant, Now
from portal_hooks.contract import STAGES
from portal_hooks.instants import DAY
from projections.database.tables import REACHED, funnel_daily

router = guarded_router("/api/v1/onboard", "onboard")


class TrendDay(BaseModel):
    """The sessions that began on a day (UTC), and how far they have come by now."""

    day: Instant
    sessions: int
    reached: dict[str, int]
    failed: int


class Trend(BaseModel):
    """Days on which sessions began, oldest first; days without any are left out."""

    days: list[TrendDay]


@router.get("/trend")
def read_trend(
    database: DatabaseOf, _reader: Reader, now: Now, days: Annotated[int, Query(ge=1, le=3660)] = 30
) -> Trend:
    """The last `days` days."""
    since = now // DAY * DAY - (days - 1) * DAY
    query = select(funnel_daily).where(funnel_daily.c.day >= since).order_by(funnel_daily.c.day)
    with database.read() as connection:
        rows = connection.execute(query).mappings().all()
    return Trend(days=[TrendDay.model_validate({**row, "reached": _reached(row)}) for row in rows])


def _reached(row: Mapping[Any, Any]) -> dict[str, int]:
    return {stage: row[name] for stage, name in zip(STAGES, REACHED, strict=True)}
