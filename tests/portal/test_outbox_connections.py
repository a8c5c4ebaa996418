"""`emit_in` on the connections that portals really have: the row is written, their transaction stays whole."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from portal_hooks import OnboardHooks
from portal_hooks.outbox import TABLE
from tests.portal.portal_database import Connect, outbox_rows


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
