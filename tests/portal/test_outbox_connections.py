"""`emit_in` on the connections that portals have: the row is written, their transaction stays whole."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from portal_hooks import OnboardHooks
from portal_hooks.outbox import TABLE, move_rows
from portal_hooks.spool import Spool
from tests.portal.portal_database import Connect, TracedConnection, outbox_rows


@pytest.fixture
def autocommit(connect: Connect) -> Connect:
    """Opens connections that leave it to the caller to begin a transaction."""

    def open_one() -> Any:
        connection = connect()
        if isinstance(connection, sqlite3.Connection):
            connection.isolation_level = None
        else:
            connection.autocommit = True
        return connection

    return open_one


def _drop_outbox(connect: Connect) -> None:
    connection = connect()
    connection.execute(f"DROP TABLE {TABLE}")
    connection.commit()
    connection.close()


def _break_outbox(connect: Connect) -> None:
    """The table takes no row; PostgreSQL shows the refused one in its message."""
    _drop_outbox(connect)
    connection = connect()
    connection.execute(
        f"CREATE TABLE {TABLE} (event_id TEXT, session_id TEXT, body TEXT,"
        " CONSTRAINT too_short CHECK (length(body) > 1000))"
    )
    connection.commit()
    connection.close()


def _accounts(connect: Connect) -> list[str]:
    connection = connect()
    names = [row[0] for row in connection.execute("SELECT name FROM accounts ORDER BY name").fetchall()]
    connection.close()
    return names


def test_a_transaction_begun_in_autocommit_takes_the_row_with_it(
    hooks: OnboardHooks, connect: Connect, autocommit: Connect
) -> None:
    connection = autocommit()
    connection.execute("BEGIN")
    assert hooks.emit_in(connection, "account.created", "s1") is not None
    connection.execute("ROLLBACK")
    connection.execute("BEGIN")
    kept = hooks.emit_in(connection, "account.created", "s1")
    assert outbox_rows(connect) == []
    connection.execute("COMMIT")
    connection.close()
    assert outbox_rows(connect) == [kept]


def test_a_transaction_begun_in_autocommit_survives_a_failed_emit(
    hooks: OnboardHooks, connect: Connect, autocommit: Connect
) -> None:
    _drop_outbox(connect)
    connection = autocommit()
    connection.execute("BEGIN")
    connection.execute("INSERT INTO accounts VALUES ('a')")
    assert hooks.emit_in(connection, "account.created", "s1") is None
    connection.execute("INSERT INTO accounts VALUES ('b')")
    connection.execute("COMMIT")
    connection.close()
    assert _accounts(connect) == ["a", "b"]


def test_outside_of_a_transaction_the_row_is_written_at_once(
    hooks: OnboardHooks, connect: Connect, autocommit: Connect
) -> None:
    connection = autocommit()
    kept = hooks.emit_in(connection, "account.created", "s1")
    assert kept is not None
    assert outbox_rows(connect) == [kept]
    _drop_outbox(connect)
    assert hooks.emit_in(connection, "account.created", "s1") is None
    connection.execute("INSERT INTO accounts VALUES ('a')")
    connection.close()
    assert _accounts(connect) == ["a"]


def test_an_sqlalchemy_engine_in_autocommit_writes_the_row(
    hooks: OnboardHooks, connect: Connect, engine_url: str
) -> None:
    engine = create_engine(engine_url, isolation_level="AUTOCOMMIT")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO accounts VALUES ('a')"))
        kept = hooks.emit_in(connection, "account.created", "s1")
        connection.execute(text("INSERT INTO accounts VALUES ('b')"))
    engine.dispose()
    assert outbox_rows(connect) == [kept]
    assert _accounts(connect) == ["a", "b"]


@pytest.mark.parametrize("is_sqlalchemy", [False, True], ids=["driver", "sqlalchemy"])
def test_a_failed_emit_is_one_line_in_the_log_without_the_customers_data(
    hooks: OnboardHooks,
    connect: Connect,
    engine_url: str,
    caplog: pytest.LogCaptureFixture,
    is_sqlalchemy: bool,
) -> None:
    _break_outbox(connect)
    engine = create_engine(engine_url)
    connection = engine.connect() if is_sqlalchemy else connect()
    assert hooks.emit_in(connection, "account.created", "s1", data={"email": "ana@acme.pt"}) is None
    connection.close()
    engine.dispose()
    [record] = caplog.records
    assert "emit_in emitted nothing: " in record.getMessage()
    assert "too_short" in record.getMessage()
    assert "ana@acme.pt" not in caplog.text
    assert "\n" not in record.getMessage()


class _PortalsSqlite(sqlite3.Connection):
    """What a portal derives in a module of its own."""


class _PortalsPsycopg(psycopg.Connection[Any]):
    """The same on PostgreSQL."""


class _OpenedWhenNeeded:
    """What emit_in uses of Django's connection: it holds the driver's, and opens it on request."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self.connection: Any = None

    def ensure_connection(self) -> None:
        if self.connection is None:
            self.connection = self._connect()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


def _derived(url: str) -> Any:
    database = make_url(url)
    if database.get_backend_name() == "sqlite":
        return sqlite3.connect(database.database or "", factory=_PortalsSqlite)
    return _PortalsPsycopg.connect(url)


@pytest.mark.parametrize("kind", ["derived", "traced", "django"])
def test_a_connection_in_disguise_is_recognised(
    hooks: OnboardHooks, connect: Connect, empty_database_url: str, kind: str
) -> None:
    connection: Any
    if kind == "derived":
        connection = _derived(empty_database_url)
    else:
        connection = TracedConnection(connect()) if kind == "traced" else _OpenedWhenNeeded(connect)
    kept = hooks.emit_in(connection, "account.created", "s1")
    connection.execute("INSERT INTO accounts VALUES ('a')")
    connection.commit()
    assert outbox_rows(connect) == [kept]
    _drop_outbox(connect)
    assert hooks.emit_in(connection, "account.created", "s1") is None
    connection.execute("INSERT INTO accounts VALUES ('b')")
    connection.commit()
    connection.close()
    assert _accounts(connect) == ["a", "b"]


def test_a_raw_connection_of_an_sqlalchemy_engine_serves_both_ends(
    hooks: OnboardHooks, spool: Path, connect: Connect, engine_url: str
) -> None:
    engine = create_engine(engine_url)
    connection = engine.raw_connection()
    kept = hooks.emit_in(connection, "account.created", "s1")
    connection.commit()
    assert outbox_rows(connect) == [kept]
    assert move_rows(connection, Spool(spool)) == 1
    connection.close()
    engine.dispose()
    assert outbox_rows(connect) == []


def test_an_asynchronous_connection_is_refused_by_name(
    hooks: OnboardHooks, postgresql_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def emit() -> list[str | None]:
        engine = create_async_engine(make_url(postgresql_url).set(drivername="postgresql+psycopg"))
        raw = await psycopg.AsyncConnection.connect(postgresql_url)
        async with raw, engine.connect() as of_sqlalchemy, AsyncSession(engine) as session:
            taken = [hooks.emit_in(one, "a.b", "s1") for one in (raw, of_sqlalchemy, session)]
        await engine.dispose()
        return taken

    assert asyncio.run(emit()) == [None, None, None]
    assert hooks.stats().invalid == 3
    assert "AsyncConnection is asynchronous; with SQLAlchemy use its run_sync" in caplog.text


def test_a_connection_of_no_known_driver_is_named(
    hooks: OnboardHooks, caplog: pytest.LogCaptureFixture
) -> None:
    assert hooks.emit_in(object(), "account.created", "s1") is None
    assert "builtins.object is no connection of a known driver" in caplog.text
    assert hooks.stats().invalid == 1
