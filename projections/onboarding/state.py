"""What is noted of the projection: the logic that built its rows, the last rebuild and the last verify."""

from typing import Any, Final, Literal

from sqlalchemy import Connection, RowMapping, insert, select, update

from projections.database.bulk import run_many
from projections.database.tables import projection_state
from projections.onboarding.fingerprint import fingerprint

PROJECTION: Final = "onboard_sessions"
MIXED: Final = "mixed"
"""Stands for the fingerprint where several logics have built the rows."""

_MIX: Final = "UPDATE projection_state SET fingerprint = ? WHERE projection = ? AND fingerprint NOT IN (?, ?)"


def stored_fingerprint(connection: Connection) -> str | None:
    """The fingerprint of the logic that built the rows; None before the first."""
    query = select(projection_state.c.fingerprint).where(projection_state.c.projection == PROJECTION)
    return connection.execute(query).scalar()


def freshness(connection: Connection) -> Literal["current", "stale"]:
    """`stale` when the rows were built by other logic: run ops-rebuild-projections."""
    return "current" if stored_fingerprint(connection) == fingerprint() else "stale"


def noted(connection: Connection) -> RowMapping | None:
    """Everything noted about the projection; None before the service first ran."""
    query = select(projection_state).where(projection_state.c.projection == PROJECTION)
    return connection.execute(query).mappings().one_or_none()


def shadow_state(connection: Connection) -> tuple[str | None, int | None]:
    """The logic that an unfinished rebuild's shadow is built by, and the position it must catch up from."""
    query = select(projection_state.c.shadow_fingerprint, projection_state.c.shadow_position)
    row = connection.execute(query.where(projection_state.c.projection == PROJECTION)).one_or_none()
    return (row[0], row[1]) if row else (None, None)


def claim(connection: Connection) -> None:
    """Note today's logic as the one that builds the rows, where none is noted yet."""
    if stored_fingerprint(connection) is None:
        row = {"projection": PROJECTION, "fingerprint": fingerprint()}
        connection.execute(insert(projection_state).values(row))


def note_writing(connection: Connection) -> None:
    """Rows are written by today's logic, inside the caller's write transaction: where another is noted, be it
    that a service of an older version still runs after a rebuild, all are `stale` from now on."""
    run_many(connection, _MIX, [(MIXED, PROJECTION, fingerprint(), MIXED)])


def record(connection: Connection, **values: Any) -> None:
    """Store columns of the projection's state, inside the caller's write transaction."""
    claim(connection)
    where = projection_state.c.projection == PROJECTION
    connection.execute(update(projection_state).where(where).values(**values))
