"""The database as the shell's commands use it: made if it is missing, and up to date."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from ops_service.settings import Settings, load
from projections.database.database import Database
from projections.database.migrate import upgrade
from projections.database.sqlite_file import loose_modes
from projections.onboarding import state


def prepare(database: Database) -> None:
    """Migrate, note by which logic the (first) rows will be built, and tell who else can read the file."""
    upgrade(database)
    if database.is_sqlite:
        for finding in loose_modes(Path(database.url.database or "").absolute()):
            print(finding, file=sys.stderr)
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
