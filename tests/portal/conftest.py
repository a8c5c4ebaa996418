"""What the portals of these tests send to: a real Ops, or a receiver that does as a test tells it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from portal_hooks import OnboardHooks
from portal_hooks.outbox import TABLE_DEFINITION
from portal_hooks.settings import HookSettings
from portal_hooks.signing import parse_secret
from tests.portal.portal_database import Connect
from tests.running_ops import RunningOps, running_ops
from tests.servers.webhook_receiver import SECRET, Receiver, receiving


@pytest.fixture
def ops(sqlite_url: str) -> Iterator[RunningOps]:
    """A real service on a fresh database."""
    with running_ops(sqlite_url) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """An empty spool folder."""
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def hooks(receiver: Receiver, spool: Path) -> Iterator[OnboardHooks]:
    made = OnboardHooks(HookSettings(receiver.url, parse_secret(SECRET), spool))
    yield made
    made.close()


@pytest.fixture
def connect(empty_database_url: str) -> Connect:
    """Opens DB-API connections to a database with the outbox's table and one of the portal's own."""
    url = make_url(empty_database_url)
    is_sqlite = url.get_backend_name() == "sqlite"

    def open_one() -> Any:
        if is_sqlite:
            return sqlite3.connect(url.database or "", timeout=10)
        return psycopg.connect(empty_database_url)

    connection = open_one()
    connection.execute(TABLE_DEFINITION[url.get_backend_name()])
    connection.execute("CREATE TABLE accounts (name VARCHAR(20) PRIMARY KEY)")
    connection.commit()
    connection.close()
    return open_one


@pytest.fixture
def engine_url(empty_database_url: str, connect: Connect) -> str:
    url = make_url(empty_database_url)
    return url.set(
        drivername={"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}[url.get_backend_name()]
    ).render_as_string(hide_password=False)
