"""The schema: what the migrations make is what the tables say, and every step can be taken back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from ops_service.rejected.keeping import Rejection, record
from portal_hooks.signing import Verified
from projections.database.database import Database
from projections.database.migrate import upgrade
from projections.database.schema_revision import is_current
from projections.database.tables import metadata
from tests.deliveries import delivery, session_row, store

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def database(empty_database_url: str) -> Iterator[Database]:
    """A database without a table."""
    database = Database(empty_database_url)
    yield database
    database.dispose()


def alembic(connection: Connection) -> Config:
    config = Config(ROOT / "alembic.ini")
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["connection"] = connection
    return config


def migrate(database: Database, *, down: str | None = None, up: str | None = None) -> None:
    with database.write() as connection:
        if down is not None:
            command.downgrade(alembic(connection), down)
        if up is not None:
            command.upgrade(alembic(connection), up)


def schema(connection: Connection) -> dict[str, Any]:
    """Everything the database can say about its tables, by name."""
    inspector = inspect(connection)
    return {
        table: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            ],
            "primary key": inspector.get_pk_constraint(table),
            "unique": by_name(inspector.get_unique_constraints(table)),
            "checks": by_name(inspector.get_check_constraints(table)),
            "indexes": by_name(inspector.get_indexes(table)),
        }
        for table in sorted(inspector.get_table_names())
        if table != "alembic_version"
    }


def by_name(found: Any) -> list[Any]:
    return sorted(found, key=lambda each: str(each["name"]))


def schema_of(database: Database) -> dict[str, Any]:
    with database.read() as connection:
        return schema(connection)


def test_migrations_make_what_the_tables_say(database: Database) -> None:
    migrate(database, up="head")
    migrated = schema_of(database)
    with database.read() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        assert is_current(connection)
    migrate(database, down="base")
    with database.write() as connection:
        metadata.create_all(connection)
    assert schema_of(database) == migrated
    assert len(migrated) == len(metadata.tables)


def test_every_name_follows_the_convention(database: Database) -> None:
    migrate(database, up="head")
    for table, found in schema_of(database).items():
        # SQLite does not tell the name of a key that is the row id.
        assert found["primary key"]["name"] in (f"pk_{table}", *[None] * database.is_sqlite)
        names = [each["name"] for kind in ("unique", "checks", "indexes") for each in found[kind]]
        assert all(str(name).split("_", 1)[1].startswith(table) for name in names), names


def test_down_to_nothing_and_up_again(database: Database) -> None:
    migrate(database, up="head")
    before = schema_of(database)
    migrate(database, down="base")
    assert schema_of(database) == {}
    migrate(database, up="head")
    assert schema_of(database) == before
    store(database, delivery("onboarding.failed"))
    assert session_row(database)["current_stage"] == "failed"


def test_a_second_upgrade_changes_nothing(empty_database_url: str) -> None:
    with Database(empty_database_url) as database:
        upgrade(database)
        store(database, delivery("onboarding.failed"))
        before = schema_of(database)
        upgrade(database)
        assert schema_of(database) == before
        assert session_row(database)["event_count"] == 1


def test_refusals_kept_before_0004_are_numbered(database: Database) -> None:
    migrate(database, up="0003")
    kept = {"source": "portal", "webhook_id": "d", "received_at": 1, "status": 422, "detail": "", "body": b""}
    with database.write() as connection:
        names = ", ".join(kept)
        values = ", ".join(f":{name}" for name in kept)
        statement = text(f"INSERT INTO rejected_deliveries ({names}, body_bytes) VALUES ({values}, 0)")
        connection.execute(statement, [kept] * 3)
    migrate(database, up="head")
    with database.write() as connection:
        record(connection, Verified("portal", "d"), 2, [Rejection(422, "", b"")])
        rows = connection.execute(text("SELECT ordinal FROM rejected_deliveries ORDER BY id"))
        assert rows.scalars().all() == [1, 2, 3, 4]


def test_an_empty_database_is_not_current(database: Database) -> None:
    with database.read() as connection:
        assert not is_current(connection)


def test_text_keys_compare_by_code_point_on_postgresql(empty_postgresql_url: str) -> None:
    with Database(empty_postgresql_url) as database:
        upgrade(database)
        with database.read() as connection:
            query = (
                "SELECT table_name || '.' || column_name FROM information_schema.columns"
                " WHERE table_schema = 'public' AND data_type = 'character varying'"
                " AND collation_name IS DISTINCT FROM 'C' AND table_name <> 'alembic_version'"
            )
            assert connection.exec_driver_sql(query).scalars().all() == []
