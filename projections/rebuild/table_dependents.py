"""What operators have hung on a table, and would lose with it when a rebuild puts another in its place.

On PostgreSQL the new table gets the old one's owner, privileges, comments and storage parameters, and plain
views are made again with theirs. SQLite knows no privileges, and its views stay. Anything else, such as an
index or trigger that no migration made, is in the way.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import InternalError, ProgrammingError

from projections.database.database import DatabaseMisconfigured


class Kept(NamedTuple):
    """What a table or view is besides its rows, as statements."""

    name: str
    """As SQL writes it."""
    definition: str | None
    """Makes the view; None for the table."""
    belongings: Sequence[str]


_ON_SQLITE: Final = text(
    "SELECT null, type || ' ' || name FROM sqlite_schema"
    " WHERE tbl_name = :name AND type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY 2"
)

# A view hangs on what it reads by way of its rule. What is internal ("i") is a part of what it hangs on, such
# as a table's row type, but a function may hang on that in turn.
_ON_POSTGRESQL: Final = text("""
WITH RECURSIVE found (class, object, internal, depth) AS (
    SELECT 'pg_class'::regclass::oid, to_regclass(:name)::oid, true, 0
    UNION
    SELECT CASE WHEN rule.oid IS NULL THEN classid ELSE 'pg_class'::regclass END,
           coalesce(rule.ev_class, objid), deptype = 'i', depth + 1
    FROM found
    JOIN pg_depend ON refclassid = class AND refobjid = object
    LEFT JOIN pg_rewrite rule
        ON classid = 'pg_rewrite'::regclass AND rule.oid = objid AND rulename = '_RETURN'
    WHERE rule.ev_class IS DISTINCT FROM object
)
SELECT CASE WHEN relkind = 'v' AND pg_has_role(relowner, 'MEMBER')
            THEN object::regclass::text END,
       concat(pg_describe_object(class, object, 0),
              CASE WHEN relkind = 'v' THEN ' of role ' || pg_get_userbyid(relowner) END)
FROM found
LEFT JOIN pg_class ON class = 'pg_class'::regclass AND pg_class.oid = object
LEFT JOIN pg_constraint ON class = 'pg_constraint'::regclass AND pg_constraint.oid = object
WHERE NOT internal AND contype IS DISTINCT FROM 'n'
  AND relnamespace IS DISTINCT FROM 'pg_toast'::regnamespace
GROUP BY class, object, relkind, relowner
ORDER BY max(depth), object
""")

_DEFINITION: Final = text(
    "SELECT format('CREATE VIEW %s AS %s', oid, pg_get_viewdef(oid)) FROM to_regclass(:name) oid"
)

_BELONGINGS: Final = text("""
WITH relation AS (
    SELECT oid, oid::regclass AS name, relkind, relowner, reloptions,
           coalesce(relacl, acldefault('r', relowner)) AS acl
    FROM pg_class WHERE oid = to_regclass(:name)
), privileges AS (
    SELECT name, '' AS columns, entry.* FROM relation, aclexplode(acl) entry
    UNION ALL
    SELECT name, format(' (%I)', attname), entry.*
    FROM relation JOIN pg_attribute ON attrelid = oid, aclexplode(attacl) entry
), comments AS (
    SELECT name, description, attname, CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind
    FROM relation
    JOIN pg_description ON classoid = 'pg_class'::regclass AND objoid = oid
    LEFT JOIN pg_attribute ON attrelid = oid AND attnum = objsubid AND objsubid > 0
)
SELECT format('ALTER TABLE %s OWNER TO %I', name, pg_get_userbyid(relowner)) FROM relation
UNION ALL
SELECT format('ALTER TABLE %s SET (%s)', name, array_to_string(reloptions, ', '))
FROM relation WHERE reloptions IS NOT NULL
UNION ALL
SELECT format('GRANT %s%s ON %s TO %s%s', privilege_type, columns, name,
              CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
              CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
FROM privileges
UNION ALL
SELECT CASE WHEN attname IS NULL THEN format('COMMENT ON %s %s IS %L', kind, name, description)
            ELSE format('COMMENT ON COLUMN %s.%I IS %L', name, attname, description) END
FROM comments
""")

_HOLDERS: Final = text("""
SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END
FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = to_regclass(:name)
""")


def require_replaceable(connection: Connection, table: Table) -> None:
    """Raises DatabaseMisconfigured when something hangs on the table that cannot be kept."""
    _views(connection, table)


def take_down(connection: Connection, table: Table) -> list[Kept]:
    """Drop the views on the table; returns what `put_up` needs once another table has its name.

    Raises DatabaseMisconfigured when something hangs on the table that cannot be kept.
    """
    views = _views(connection, table)
    if connection.dialect.name != "postgresql":
        return []
    kept = [Kept(table.name, None, _told(connection, _BELONGINGS, table.name))]
    for name in views:
        [definition] = _told(connection, _DEFINITION, name)
        kept.append(Kept(name, definition, _told(connection, _BELONGINGS, name)))
    for name in reversed(views):
        _run(connection, f"DROP VIEW {name}")
    return kept


def put_up(connection: Connection, kept: Iterable[Kept]) -> None:
    """Give the new table what the old one had, and make its views again.

    Raises DatabaseMisconfigured when the database does not let us.
    """
    for name, definition, belongings in kept:
        if definition:
            _run(connection, definition)
        # What default privileges have given it, they have not given the one before.
        for holder in _told(connection, _HOLDERS, name):
            _run(connection, f"REVOKE ALL ON {name} FROM {holder}")
        for statement in belongings:
            _run(connection, statement)


def _views(connection: Connection, table: Table) -> Sequence[str]:
    """The views that must be made again, each after those it reads. Raises DatabaseMisconfigured."""
    own = {f"index {index.name}" for index in table.indexes}
    own.add(f"constraint {table.primary_key.name} on table {table.name}")
    query = _ON_POSTGRESQL if connection.dialect.name == "postgresql" else _ON_SQLITE
    found = connection.execute(query, {"name": table.name}).all()
    in_the_way = [described for view, described in found if not view and described not in own]
    if in_the_way:
        raise DatabaseMisconfigured(
            f"a rebuild would lose what was put on the table {table.name}: {'; '.join(in_the_way)}."
            " Drop it before the rebuild and make it again afterwards"
        )
    return [view for view, _ in found if view]


def _told(connection: Connection, query: Any, name: str) -> Sequence[str]:
    return connection.execute(query, {"name": name}).scalars().all()


def _run(connection: Connection, statement: str) -> None:
    try:
        connection.exec_driver_sql(statement.replace("%", "%%"))
    except (ProgrammingError, InternalError) as error:
        raise DatabaseMisconfigured(
            f"a rebuild cannot keep what was put on its tables: {str(error.orig).splitlines()[0]}"
            f" (at: {statement.splitlines()[0]})"
        ) from error
