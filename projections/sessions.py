"""`onboard_sessions`: the fold's state as rows, loaded and upserted."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table, delete

from portal_hooks.contract import STAGE_INDEX
from projections.driver_path import run_many, select_in
from projections.onboarding import Session
from projections.tables import onboard_sessions

COLUMNS: Final = tuple(column.name for column in onboard_sessions.columns)

Row = tuple[Any, ...]


def to_row(session: Session) -> Row:
    """The session's row, in the table's column order."""
    return (
        session.session_id,
        session.source,
        session.domain,
        session.current_stage,
        session.furthest_stage,
        session.infra_status,
        session.failed_at,
        session.failure_step,
        session.failure_code,
        session.failure_reason,
        session.failure_count,
        session.event_count,
        session.first_event_at,
        session.last_event_at,
        *session.reached,
    )


def from_row(row: Row) -> Session:
    """The state that `to_row` wrote. `current_stage` follows from the rest and is not read."""
    session_id, source, domain, _current_stage, furthest_stage, infra_status = row[:6]
    failed_at, step, code, reason, failures, events, first_event_at, last_event_at, *reached = row[6:]
    return Session(
        session_id,
        source,
        domain,
        STAGE_INDEX[furthest_stage] if furthest_stage is not None else -1,
        infra_status,
        failed_at,
        step,
        code,
        reason,
        failures,
        events,
        first_event_at,
        last_event_at,
        reached,
    )


class Change(NamedTuple):
    """A session's state before and after; `before` is None when it had no row."""

    before: Session | None
    after: Session


def load(
    connection: Connection, session_ids: Sequence[str], table: Table = onboard_sessions
) -> dict[str, Session]:
    """The states of those of the sessions that have a row."""
    if not session_ids:
        return {}
    sql = f"SELECT {', '.join(COLUMNS)} FROM {table.name} WHERE session_id IN ({{}})"  # noqa: S608 - our own names
    return {row[0]: from_row(row) for row in select_in(connection, sql, session_ids)}


def write(connection: Connection, changes: Sequence[Change], table: Table = onboard_sessions) -> None:
    """Write the changed sessions' rows; a session no event counts for has none."""
    upsert(connection, [to_row(after) for _, after in changes if after.event_count], table)
    gone = [change.after.session_id for change in changes if change.before and not change.after.event_count]
    if gone:
        connection.execute(delete(table).where(table.c.session_id.in_(gone)))


def upsert(connection: Connection, rows: Sequence[Row], table: Table) -> None:
    """Write the rows, as `to_row` gives them, of sessions that are new or have changed."""
    run_many(connection, _upsert_sql(table), rows)


def _upsert_sql(table: Table) -> str:
    changes = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
    places = ", ".join("?" * len(COLUMNS))
    columns = ", ".join(COLUMNS)
    conflict = f"ON CONFLICT (session_id) DO UPDATE SET {changes}"
    return f"INSERT INTO {table.name} ({columns}) VALUES ({places}) {conflict}"  # noqa: S608 - our own names
