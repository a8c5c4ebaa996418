"""A look into a service's database from outside."""

from sqlalchemy import select

from projections.database.database import Database
from projections.database.tables import webhook_events


def stored_ids(database_url: str) -> set[str]:
    """The ids of all events in the log."""
    with Database(database_url) as database, database.read() as connection:
        return set(connection.execute(select(webhook_events.c.event_id)).scalars())
