"""Shadow tables: a read model built anew beside the live one, and swapped in at the cutover."""

from functools import cache
from typing import Final

from sqlalchemy import Connection, MetaData, Table, inspect, text
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import quoted_name

from projections.rebuild import table_dependents

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

    Afterwards the schema is, name by name, what the migrations made, and what operators have hung on the
    table is there. Raises DatabaseMisconfigured when something hangs on it that cannot be kept.
    """
    kept = table_dependents.take_down(connection, live)
    live.drop(connection)
    if connection.dialect.name == "postgresql":
        _rename_on_postgresql(connection, live)
    else:
        _rename_on_sqlite(connection, live)
    table_dependents.put_up(connection, kept)


def _live_name(name: str) -> str:
    return name.replace(_SUFFIX, "")


def _rename_on_postgresql(connection: Connection, live: Table) -> None:
    shadow = shadow_of(live)
    connection.execute(text(f"ALTER TABLE {shadow.name} RENAME TO {live.name}"))
    for index in shadow.indexes:
        connection.execute(text(f"ALTER INDEX {index.name} RENAME TO {_live_name(str(index.name))}"))
    # The primary key, and from PostgreSQL 18 on each NOT NULL.
    named = text("SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(:name)")
    for name in connection.execute(named, {"name": live.name}).scalars().all():
        connection.execute(text(f"ALTER TABLE {live.name} RENAME CONSTRAINT {name} TO {_live_name(name)}"))


def _rename_on_sqlite(connection: Connection, live: Table) -> None:
    """Rename the table, views on it left alone, and take the suffix off the names of what belongs to it.

    SQLite has no ALTER INDEX, and building indexes anew would hold up ingest. Only names change, nothing on
    disk; the steps are those of SQLite's manual ("Making Other Kinds Of Table Schema Changes"). The version's
    rise makes every connection read the schema again.
    """
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    try:
        connection.execute(text(f"ALTER TABLE {shadow_of(live).name} RENAME TO {live.name}"))
    finally:
        connection.exec_driver_sql("PRAGMA legacy_alter_table = OFF")
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
