"""Statements on the driver's own path, past SQLAlchemy's machinery: where many rows make its price felt."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select


def run_many(connection: Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run one statement, with `?` for its parameters, over many rows: the driver's own fast path."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(sql.replace("?", "%s"), list(rows))
    else:
        _sqlite_cursor(connection).executemany(sql, rows)


def select_in(connection: Connection, sql: str, values: Sequence[str], *before: Any) -> Sequence[Any]:
    """The rows of a query that ends in `IN ({})`, for these values; `before` fills the `?` that precede it.

    The driver's own path again: building the same expression anew for every group of events would cost more
    than the query.
    """
    # Repeating a value up to a power of two keeps the number of different statements small.
    padded = [*values, *[values[-1]] * ((1 << (len(values) - 1).bit_length()) - len(values))]
    sql = sql.format(", ".join("?" * len(padded)))
    if connection.dialect.name == "postgresql":
        return connection.exec_driver_sql(sql.replace("?", "%s"), (*before, *padded)).all()
    cursor = _sqlite_cursor(connection)
    cursor.execute(sql, (*before, *padded))
    return cursor.fetchall()  # type: ignore[no-any-return]


def _sqlite_cursor(connection: Connection) -> Any:
    """The driver's cursor, in the same transaction. In a group of sixteen events SQLAlchemy's machinery takes
    a fifth of the projector's time; PostgreSQL keeps it, for it notices a lost connection there."""
    return connection.connection.cursor()


def driver_rows(connection: Connection, query: Select[Any]) -> Sequence[Any]:
    """The query's rows as the driver gives them: for many rows, at half the price of SQLAlchemy's own."""
    with connection.execute(query) as result:
        return result.cursor.fetchall()
