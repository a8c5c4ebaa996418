"""Is the database's schema the one this code was written for?"""

from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, column, inspect, select, table

MIGRATIONS: Final = Path(__file__).resolve().parents[2] / "migrations"

_APPLIED: Final = table("alembic_version", column("version_num"))


@cache
def newest() -> str:
    """The last revision in migrations/versions, by the files' names: to load Alembic costs a command more
    than all its other imports."""
    return max(file.name.partition("_")[0] for file in MIGRATIONS.glob("versions/[0-9]*_*.py"))


def is_current(connection: Connection) -> bool:
    """True when the schema is at the newest revision."""
    return fault(connection) is None


def fault(connection: Connection) -> str | None:
    """What schema the database has instead of the newest, and what to run; None when it has that."""
    applied = _applied(connection)
    if applied == newest():
        return None
    if applied > newest():
        return f"the schema of a newer version of Ops ({applied}): run that one, or put a backup back"
    return "no current schema: run `ops-service migrate`"


def is_newer(connection: Connection) -> bool:
    """True when a newer version of Ops has migrated the database."""
    return _applied(connection) > newest()


def _applied(connection: Connection) -> str:
    if not inspect(connection).has_table(_APPLIED.name):
        return ""
    return max(connection.execute(select(_APPLIED.c.version_num)).scalars(), default="")
