"""The database as the shell's commands use it: made if it is missing, and up to date."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from ops_service.settings import Settings, load
from projections.database.database import Database
from projections.database.migrate import upgrade
from projections.onboarding import state


def prepare(database: Database) -> None:
    """Migrate, and note by which logic the (first) rows will be built."""
    upgrade(database)
    with database.write() as connection:
        state.claim(connection)
        if state.freshness(connection) == "stale":
            print("The sessions were built by older logic: run ops-rebuild-projections.", file=sys.stderr)


@contextmanager
def writing() -> Iterator[tuple[Connection, Settings]]:
    """A write transaction on the prepared database, and the settings that name it."""
    settings = load()
    with Database(settings.database_url) as database:
        prepare(database)
        with database.write() as connection:
            yield connection, settings
