"""GET /healthz, /readyz, /metrics: open to all, and saying nothing about customers."""

from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from sqlalchemy import Connection, func, select

from ops_service import metrics
from ops_service.http.parameters import DatabaseOf, Instant
from ops_service.http.problems import responses, unavailable
from portal_hooks.instants import SECOND
from projections.database.database import DatabaseUnavailable
from projections.database.schema_revision import is_current
from projections.database.tables import quarantined_events, webhook_events
from projections.onboarding.state import freshness, noted

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """`stale` rows still answer: a rebuild mends them without stopping anything."""

    status: Literal["ready", "not_ready"]
    database: Literal["ok", "unavailable"]
    migrations: Literal["current", "pending"] | None = None
    projection: Literal["current", "stale"] | None = None
    fingerprint: str | None = None
    """Of the logic that built the rows."""
    rebuilt_at: Instant | None = None
    verified_at: Instant | None = None
    verified_differences: int | None = None
    quarantined: int | None = None
    last_event_at: Instant | None = None


@router.get("/healthz")
async def alive() -> Alive:
    """Alive: says nothing about the database, and waits for none of those that use it."""
    return Alive()


@router.get("/readyz", responses=responses(503))
def ready(database: DatabaseOf) -> Readiness:
    """Ready to take and show events. Otherwise a problem with the same members."""
    try:
        with database.read() as connection:
            readiness = _readiness(connection)
    except DatabaseUnavailable:
        readiness = Readiness(status="not_ready", database="unavailable")
    if readiness.status == "ready":
        return readiness
    facts = readiness.model_dump(mode="json", exclude={"status"})
    raise unavailable("The service is not ready; the members beside say why.", **facts)


@router.get("/metrics", response_class=Response)
def prometheus(database: DatabaseOf) -> Response:
    """Counters and gauges in Prometheus' text form; those of the processes also without the database."""
    try:
        with database.read() as connection:
            stored = _stored(connection)
    except DatabaseUnavailable:
        stored = {"ops_database_up": 0}
    return Response(metrics.exposition(stored), media_type=CONTENT_TYPE_LATEST)


def _readiness(connection: Connection) -> Readiness:
    if not is_current(connection):
        return Readiness(status="not_ready", database="ok", migrations="pending")
    newest = select(webhook_events.c.received_at).order_by(webhook_events.c.position.desc()).limit(1)
    last = connection.execute(newest).scalar()
    state = noted(connection)
    shown = ("fingerprint", "rebuilt_at", "verified_at", "verified_differences")
    return Readiness(
        status="ready",
        database="ok",
        migrations="current",
        projection=freshness(connection),
        quarantined=_quarantined(connection),
        last_event_at=last,
        **({name: state[name] for name in shown} if state else {}),
    )


def _stored(connection: Connection) -> dict[str, float]:
    stored: dict[str, float] = {
        "ops_database_up": 1,
        "ops_quarantined_events": _quarantined(connection),
        "ops_projection_stale": int(freshness(connection) == "stale"),
    }
    state = noted(connection)
    if state and state["verified_at"] is not None:
        stored["ops_projection_verified_timestamp_seconds"] = state["verified_at"] / SECOND
        stored["ops_projection_verified_differences"] = state["verified_differences"]
    return stored


def _quarantined(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(quarantined_events)).scalar_one()
