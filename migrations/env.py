"""Alembic's entry: runs on the caller's connection, or on OPS_DATABASE_URL from the command line."""

from alembic import context

from projections.database.database import Database
from projections.database.tables import metadata
from projections.settings import DatabaseSettings, read


def _url() -> str:
    return read(DatabaseSettings).database_url


connection = context.config.attributes.get("connection")

if context.is_offline_mode():
    context.configure(url=_url(), target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif connection is not None:
    context.configure(connection=connection, target_metadata=metadata)
    context.run_migrations()
else:
    with Database(_url()).write() as connection:
        context.configure(connection=connection, target_metadata=metadata)
        context.run_migrations()
