"""`emit_in`: an event exists if, and only if, the portal's own transaction commits; on both databases."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any, Final

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from portal_hooks import OnboardHooks
from portal_hooks.outbox import RELAY_ROWS, TABLE, TABLE_DEFINITION, move_rows
from portal_hooks.settings import HookSettings
from portal_hooks.signing import parse_secret
from portal_hooks.spool import Spool
from tests.portal.portal_database import Connect, TracedConnection, outbox_rows
from tests.servers.webhook_receiver import SECRET, Receiver

PAGE: Final = (Path(__file__).parents[2] / "docs" / "portal.md").read_text(encoding="utf-8")


def test_the_migration_of_the_page_makes_the_table(
    hooks: OnboardHooks, connect: Connect, engine_url: str
) -> None:
    [migration] = re.findall(r"```python\n(from alembic import op\n.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(migration, names)
    engine = create_engine(engine_url)
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {TABLE}"))
        with Operations.context(MigrationContext.configure(connection)):
            names["upgrade"]()
        kept = hooks.emit_in(connection, "account.created", "s1")
    engine.dispose()
    assert outbox_rows(connect) == [kept]


def test_the_sql_of_the_page_is_the_table_s() -> None:
    [sql] = re.findall(r"```sql\n(CREATE TABLE onboard_outbox .*?);\n```", PAGE, re.DOTALL)
    shown = re.findall(r"\w+|[(),]", re.sub(r"--.*", "", sql))
    assert shown == re.findall(r"\w+|[(),]", TABLE_DEFINITION["postgresql"])


def test_no_phantom_event_on_rollback(hooks: OnboardHooks, receiver: Receiver, connect: Connect) -> None:
    hooks.relay_from(connect)
    connection = connect()
    connection.execute("INSERT INTO accounts VALUES ('a')")
    assert hooks.emit_in(connection, "account.created", "s1") is not None
    connection.rollback()
    kept = hooks.emit_in(connection, "account.created", "s2", data={"email": "é@acme.pt"})
    connection.commit()
    connection.close()
    assert [event["event_id"] for event in receiver.wait_for("s2", 1)] == [kept]
    assert receiver.of("s1") == []
    assert outbox_rows(connect) == []


def test_an_event_is_not_sent_before_the_commit(
    hooks: OnboardHooks, receiver: Receiver, connect: Connect
) -> None:
    hooks.relay_from(connect)
    connection = connect()
    hooks.emit_in(connection, "account.created", "s1")
    time.sleep(1.2)
    assert receiver.of("s1") == []
    connection.commit()
    assert len(receiver.wait_for("s1", 1)) == 1
    connection.close()


@pytest.mark.parametrize("kind", ["connection", "session"])
def test_sqlalchemy_takes_part(hooks: OnboardHooks, connect: Connect, engine_url: str, kind: str) -> None:
    engine = create_engine(engine_url)
    with engine.connect() if kind == "connection" else Session(engine) as transaction:
        hooks.emit_in(transaction, "account.created", "s1")
        transaction.rollback()
        kept = hooks.emit_in(transaction, "account.created", "s1")
        transaction.commit()
    engine.dispose()
    assert outbox_rows(connect) == [kept]


def test_a_failed_emit_leaves_the_business_transaction_whole(hooks: OnboardHooks, connect: Connect) -> None:
    connection = connect()
    connection.execute(f"DROP TABLE {TABLE}")
    connection.commit()
    connection.execute("INSERT INTO accounts VALUES ('a')")
    assert hooks.emit_in(connection, "account.created", "s1") is None
    connection.execute("INSERT INTO accounts VALUES ('b')")
    connection.commit()
    assert len(connection.execute("SELECT * FROM accounts").fetchall()) == 2
    connection.close()
    assert hooks.stats().invalid == 1


def test_a_relay_that_dies_before_its_commit_moves_the_rows_again(
    hooks: OnboardHooks, spool: Path, connect: Connect
) -> None:
    connection = connect()
    ids = [hooks.emit_in(connection, "a.b", "s1") for _ in range(3)]
    connection.commit()
    dying = Spool(spool)
    connection.close()
    broken = connect()
    # The lock it would need to delete is taken, or the connection is lost: either way no row is gone.
    with pytest.raises(Exception, match="lost"):
        move_rows(_LosesItsConnection(broken), dying)
    broken.close()
    assert outbox_rows(connect) == ids
    assert dying.appended == 3


def test_a_large_outbox_is_moved_whole_and_in_order(
    hooks: OnboardHooks, receiver: Receiver, connect: Connect
) -> None:
    connection = connect()
    ids = [hooks.emit_in(connection, "a.b", "s1") for _ in range(2 * RELAY_ROWS + 7)]
    connection.commit()
    connection.close()
    hooks.relay_from(connect)
    events = receiver.wait_for("s1", len(ids), seconds=20)
    assert [event["event_id"] for event in events] == ids


def test_two_relays_of_one_host_do_not_move_a_row_twice(
    hooks: OnboardHooks, receiver: Receiver, connect: Connect, spool: Path
) -> None:
    other = OnboardHooks(HookSettings(receiver.url, parse_secret(SECRET), spool))
    hooks.relay_from(connect)
    other.relay_from(connect)
    connection = connect()
    ids = []
    for _ in range(30):
        ids.append(hooks.emit_in(connection, "a.b", "s1"))
        connection.commit()
    connection.close()
    assert [event["event_id"] for event in receiver.wait_for("s1", 30)] == ids
    time.sleep(1)
    assert len(receiver.of("s1")) == 30
    other.close()


def test_the_relay_survives_a_database_that_is_away(
    hooks: OnboardHooks, receiver: Receiver, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal_hooks.outbox.AWAY_SECONDS", 0.1)
    is_away = threading.Event()
    is_away.set()

    def connect_if_there() -> Any:
        if is_away.is_set():
            raise ConnectionError("the database is away")
        return connect()

    hooks.relay_from(connect_if_there)
    time.sleep(0.3)
    is_away.clear()
    connection = connect()
    hooks.emit_in(connection, "a.b", "s1")
    connection.commit()
    connection.close()
    assert len(receiver.wait_for("s1", 1)) == 1


class _LosesItsConnection(TracedConnection):
    """A real connection that is cut when it comes to deleting."""

    def cursor(self) -> Any:
        cursor = self._connection.cursor()
        return _LosesItsCursor(cursor)


class _LosesItsCursor:
    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def execute(self, sql: str, values: tuple[Any, ...]) -> None:
        if sql.startswith("DELETE"):
            raise ConnectionError("lost")
        self._cursor.execute(sql, values)

    def fetchall(self) -> Any:
        return self._cursor.fetchall()
