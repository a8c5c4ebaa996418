"""`onboard_sessions`: the fold's state as rows, loaded and upserted."""

from collections.abc import Sequence

from sqlalchemy import Connection, Table, delete

from projections.database.bulk import run_many, select_in
from projections.database.tables import onboard_sessions
from projections.onboarding.fold import Session
from projections.onboarding.rows import COLUMNS, Change, Row, from_row, to_row


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
