"""Bring a database's schema to the newest revision."""

import sys
from pathlib import Path

from sqlalchemy import Connection, inspect

from projections.database.database import Database, DatabaseMisconfigured
from projections.database.schema_revision import MIGRATIONS, fault, is_current, is_newer
from projections.database.tables import metadata


def upgrade(database: Database) -> None:
    """Apply all missing migrations, and say so when that makes a new SQLite file.

    Raises DatabaseUnavailable or DatabaseMisconfigured.
    """
    file = Path(database.url.database or "").absolute() if database.is_sqlite else None
    is_new = file is not None and not file.exists()
    # One write transaction: two services starting at once migrate one after the other.
    with database.write() as connection:
        if is_newer(connection):
            raise DatabaseMisconfigured(f"the database has {fault(connection)}")
        if not is_current(connection):
            _require_no_foreign_table(connection)
            _apply(connection)
    if is_new:
        print(f"Made a new database: {file}", file=sys.stderr)


def _require_no_foreign_table(connection: Connection) -> None:
    names = set(inspect(connection).get_table_names())
    foreign = sorted(names & set(metadata.tables))
    if foreign and "alembic_version" not in names:
        raise DatabaseMisconfigured(
            f"the database has a table {foreign[0]} that Ops has not made; give Ops a database of its own"
        )


def _apply(connection: Connection) -> None:
    # Loaded where it has something to do: that takes a third as long as starting the service without it.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(MIGRATIONS.parent / "alembic.ini")
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise DatabaseMisconfigured(f"the migrations in {MIGRATIONS} cannot be applied: {error}") from None
