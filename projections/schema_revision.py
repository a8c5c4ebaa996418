"""Is the database's schema the one this code was written for?"""

from typing import Final

from sqlalchemy import Connection, column, inspect, select, table

NEWEST: Final = "0003"
"""The last revision in migrations/versions. Named here, for loading Alembic to find it costs a command more
than all its other imports."""

_APPLIED: Final = table("alembic_version", column("version_num"))


def is_current(connection: Connection) -> bool:
    """True when the schema is at the newest revision."""
    if not inspect(connection).has_table(_APPLIED.name):
        return False
    return connection.execute(select(_APPLIED.c.version_num)).scalars().all() == [NEWEST]
