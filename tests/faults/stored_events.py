"""A look into a service's database from outside."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import select

from projections.database import Database
from projections.tables import webhook_events


@contextmanager
def opened(database_url: str) -> Iterator[Database]:
    """The database; all its connections are closed afterwards."""
    database = Database(database_url)
    try:
        yield database
    finally:
        database.dispose()


def stored_ids(database_url: str) -> set[str]:
    """The ids of all events in the log."""
    with opened(database_url) as database, database.read() as connection:
        return set(connection.execute(select(webhook_events.c.event_id)).scalars())
