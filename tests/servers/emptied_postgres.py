"""PostgreSQL databases that tests use one after another.

To make one and drop it costs 0.2 s of CPU, to empty one a tenth of that. A database is used again only while
its catalogs are what they were: a test that made, changed or analysed a table leaves it to be dropped.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from tests.servers import postgres

MOST_BYTES = 4 * 1024 * 1024
"""What emptied tables may still occupy: more would slow the next test down."""

_CATALOGS = """
    SELECT relname FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'pg_catalog'::regnamespace AND NOT relisshared ORDER BY 1"""
_PLANNED_WITH = "SELECT sum(relpages), sum(reltuples) FROM pg_class WHERE oid >= 16384"
_REVISION = "SELECT version_num FROM alembic_version"
_OF_THE_DATABASE = """
    SELECT xmin, (SELECT count(*) FROM pg_db_role_setting WHERE setdatabase = pg_database.oid)
    FROM pg_database WHERE datname = current_database()"""
_OTHERS = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""
_LEFT = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"""
_BYTES = "SELECT coalesce(sum(pg_relation_size(oid)), 0) FROM pg_class WHERE oid >= 16384"
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
_RESTARTED = "SELECT setval(seqrelid, seqstart, false) FROM pg_sequence"

Marks = list[tuple[Any, ...]]


class _Kept(NamedTuple):
    url: str
    marks: Marks
    dropped: ExitStack


class EmptiedPostgres:
    """Copies of one template, kept for reuse until `close`."""

    def __init__(self, server_url: str, template: str) -> None:
        self._server_url, self._template = server_url, template
        self._idle: list[_Kept] = []

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a database like the template, for nobody else until the block ends."""
        kept = self._idle.pop() if self._idle else self._made()
        try:
            yield kept.url
        except BaseException:
            kept.dropped.close()
            raise
        if _is_emptied(kept):
            self._idle.append(kept)
        else:
            kept.dropped.close()

    def close(self) -> None:
        """Drop them all."""
        while self._idle:
            self._idle.pop().dropped.close()

    def _made(self) -> _Kept:
        dropped = ExitStack()
        url = dropped.enter_context(postgres.database(self._server_url, self._template))
        with psycopg.connect(url, autocommit=True) as connection:
            return _Kept(url, _marks(connection), dropped)


def _is_emptied(kept: _Kept) -> bool:
    """Empty the database, whoever is still connected. False where more than rows has changed."""
    try:
        connection = psycopg.connect(kept.url, autocommit=True)
    except psycopg.OperationalError:  # a test took its own or everybody's permission away
        return False
    with connection:
        connection.execute(_OTHERS)
        if _one(connection, _LEFT) > 0 or _one(connection, _BYTES) > MOST_BYTES:
            return False
        if _marks(connection) != kept.marks:
            return False
        for (table,) in connection.execute(_TABLES).fetchall():
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        connection.execute(_RESTARTED)
    return True


def _marks(connection: psycopg.Connection[Any]) -> Marks:
    """Size and newest transaction of each catalog: every change shows; and what is updated in place."""
    catalogs = [sql.Identifier(name) for (name,) in connection.execute(_CATALOGS).fetchall()]
    each = sql.SQL("SELECT count(*), max(xmin::text::bigint) FROM {}")
    query = sql.SQL(" UNION ALL ").join(each.format(name) for name in catalogs)
    queries = (query, _PLANNED_WITH, _REVISION, _OF_THE_DATABASE)
    return [row for each in queries for row in connection.execute(each).fetchall()]


def _one(connection: psycopg.Connection[Any], query: str) -> int:
    [(value,)] = connection.execute(query.encode()).fetchall()
    return int(value)
