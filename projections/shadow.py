"""Shadow tables: a read model built anew beside the live one, and swapped in at the cutover."""

from functools import cache
from typing import Final

from sqlalchemy import Connection, MetaData, Table, inspect, text
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import quoted_name

_SUFFIX: Final = "_shadow"


@cache
def shadow_of(live: Table) -> Table:
    """The table like `live`, indexes included, under the shadow's names."""
    table = live.to_metadata(MetaData(), name=live.name + _SUFFIX)
    table.primary_key.name = quoted_name(f"pk_{table.name}", quote=None)
    for index in table.indexes:
        index.name = quoted_name(_live_name(str(index.name)) + _SUFFIX, quote=None)
    return table


def exists(connection: Connection, live: Table) -> bool:
    """True when a rebuild left a shadow of `live`."""
    return inspect(connection).has_table(shadow_of(live).name)


def create(connection: Connection, live: Table) -> None:
    """Make an empty shadow without indexes; one left over is dropped."""
    shadow_of(live).drop(connection, checkfirst=True)
    connection.execute(CreateTable(shadow_of(live)))


def swap(connection: Connection, live: Table) -> None:
    """Put the shadow in the live table's place, inside the caller's write transaction.

    Afterwards the schema is, name by name, what the migrations made.
    """
    shadow = shadow_of(live)
    live.drop(connection)
    connection.execute(text(f"ALTER TABLE {shadow.name} RENAME TO {live.name}"))
    if connection.dialect.name == "postgresql":
        for name in (shadow.primary_key.name, *(index.name for index in shadow.indexes)):
            connection.execute(text(f"ALTER INDEX {name} RENAME TO {_live_name(str(name))}"))
    else:
        _rename_in_sqlite_schema(connection, live)


def _live_name(name: str) -> str:
    return name.replace(_SUFFIX, "")


def _rename_in_sqlite_schema(connection: Connection, live: Table) -> None:
    """Take the suffix off the names of indexes and constraints, in the schema table itself.

    SQLite has no ALTER INDEX, and building indexes anew would hold up ingest. Only names change, nothing on
    disk; the steps are those of SQLite's manual ("Making Other Kinds Of Table Schema Changes"). The version's
    rise makes every connection read the schema again.
    """
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    try:
        connection.exec_driver_sql(
            "UPDATE sqlite_schema SET name = replace(name, ?, ''), sql = replace(sql, ?, '')"
            " WHERE tbl_name = ?",
            (_SUFFIX, _SUFFIX, live.name),
        )
    finally:
        connection.exec_driver_sql("PRAGMA writable_schema = OFF")
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
