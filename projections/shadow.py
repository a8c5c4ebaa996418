"""The shadow table: `onboard_sessions` built anew beside the live one, and swapped in at the cutover."""

from typing import Final

from sqlalchemy import Connection, MetaData, Table, text
from sqlalchemy.sql import quoted_name

from projections.tables import onboard_sessions

_SUFFIX: Final = "_shadow"


def _shadow_table() -> Table:
    table = onboard_sessions.to_metadata(MetaData(), name=onboard_sessions.name + _SUFFIX)
    table.primary_key.name = quoted_name(f"pk_{table.name}", quote=None)
    for index in table.indexes:
        index.name = quoted_name(_live_name(str(index.name)) + _SUFFIX, quote=None)
    return table


def _live_name(name: str) -> str:
    return name.replace(_SUFFIX, "")


SHADOW: Final = _shadow_table()


def create(connection: Connection) -> None:
    """Make an empty shadow table; one left over by a rebuild that died is dropped."""
    SHADOW.drop(connection, checkfirst=True)
    SHADOW.create(connection)


def swap(connection: Connection) -> None:
    """Put the shadow in the live table's place, inside the caller's write transaction.

    Afterwards the schema is, name by name, what the migrations made.
    """
    if connection.dialect.name == "postgresql":
        # Waiting for this lock blocks every new reader behind us: better give up early and come again.
        connection.execute(text("SET LOCAL lock_timeout = '500ms'"))
    onboard_sessions.drop(connection)
    connection.execute(text(f"ALTER TABLE {SHADOW.name} RENAME TO {onboard_sessions.name}"))
    names = [str(index.name) for index in SHADOW.indexes]
    if connection.dialect.name == "postgresql":
        for name in (*names, str(SHADOW.primary_key.name)):
            connection.execute(text(f"ALTER INDEX {name} RENAME TO {_live_name(name)}"))
    else:
        _rename_sqlite_indexes(connection, names)


def _rename_sqlite_indexes(connection: Connection, names: list[str]) -> None:
    """Rename the indexes in the schema table: SQLite has no ALTER INDEX, and building them anew would hold
    up ingest. Only names change, nothing on disk; the steps are those of SQLite's manual ("Making Other Kinds
    Of Table Schema Changes"), the version's rise makes every connection read the schema again."""
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    for name in names:
        connection.exec_driver_sql(
            "UPDATE sqlite_schema SET name = ?, sql = replace(sql, ?, ?) WHERE type = 'index' AND name = ?",
            (_live_name(name), name, _live_name(name), name),
        )
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
