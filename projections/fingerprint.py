"""Is the table built by today's logic? A hash of what decides a row's content, compared with the stored one.

Comments, docstrings and layout do not count: the hash is taken over the syntax trees.
"""

import ast
import hashlib
import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, Literal

from sqlalchemy import Connection, RowMapping, insert, select, update

from portal_hooks import contract
from projections import onboarding, sessions, tickets
from projections.driver_path import run_many
from projections.read_models import READ_MODELS
from projections.tables import onboard_sessions, projection_state

PROJECTION: Final = "onboard_sessions"
MIXED: Final = "mixed"
"""Stands for the fingerprint where several logics have built the rows."""

_MIX: Final = "UPDATE projection_state SET fingerprint = ? WHERE projection = ? AND fingerprint NOT IN (?, ?)"


@cache
def fingerprint() -> str:
    """The fingerprint of the fold, the stage map and the read models, as this code has them."""
    followers = [inspect.getmodule(model.totals) for model in READ_MODELS]
    tables = [onboard_sessions, *(model.table for model in READ_MODELS)]
    digest = hashlib.sha256()
    for module in (onboarding, sessions, tickets, *filter(None, followers)):
        digest.update("".join(_canonical(ast.parse(inspect.getsource(module)))).encode())
    digest.update(repr((list(contract.STAGE_OF.items()), contract.EVENT_TYPES)).encode())
    for table in tables:
        digest.update(repr([(column.name, str(column.type)) for column in table.columns]).encode())
    return digest.hexdigest()[:16]


def stored_fingerprint(connection: Connection) -> str | None:
    """The fingerprint of the logic that built the rows; None before the first."""
    query = select(projection_state.c.fingerprint).where(projection_state.c.projection == PROJECTION)
    return connection.execute(query).scalar()


def freshness(connection: Connection) -> Literal["current", "stale"]:
    """`stale` when the rows were built by other logic: run ops-rebuild-projections."""
    return "current" if stored_fingerprint(connection) == fingerprint() else "stale"


def state(connection: Connection) -> RowMapping | None:
    """Everything noted about the projection; None before the service first ran."""
    query = select(projection_state).where(projection_state.c.projection == PROJECTION)
    return connection.execute(query).mappings().one_or_none()


def shadow_state(connection: Connection) -> tuple[str | None, int | None]:
    """The logic that an unfinished rebuild's shadow is built by, and the position it must catch up from."""
    query = select(projection_state.c.shadow_fingerprint, projection_state.c.shadow_position)
    row = connection.execute(query.where(projection_state.c.projection == PROJECTION)).one_or_none()
    return (row[0], row[1]) if row else (None, None)


def claim(connection: Connection) -> None:
    """Note today's logic as the one that builds the rows, where none is noted yet."""
    if stored_fingerprint(connection) is None:
        row = {"projection": PROJECTION, "fingerprint": fingerprint()}
        connection.execute(insert(projection_state).values(row))


def note_writing(connection: Connection) -> None:
    """Rows are written by today's logic, inside the caller's write transaction: where another is noted, be it
    that a service of an older version still runs after a rebuild, all are `stale` from now on."""
    run_many(connection, _MIX, [(MIXED, PROJECTION, fingerprint(), MIXED)])


def record(connection: Connection, **values: Any) -> None:
    """Store columns of the projection's state, inside the caller's write transaction."""
    claim(connection)
    where = projection_state.c.projection == PROJECTION
    connection.execute(update(projection_state).where(where).values(**values))


def _canonical(node: ast.AST) -> Iterator[str]:
    """The tree as text, alike on every Python version: empty fields, positions and docstrings left out."""
    yield type(node).__name__
    yield "("
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(value, list):
            value = [item for item in value if not _is_text(item)]
        if value is None or value == [] or name == "ctx":
            continue
        yield name + "="
        for item in value if isinstance(value, list) else [value]:
            yield from (_canonical(item) if isinstance(item, ast.AST) else (repr(item), ","))
    yield ")"


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
