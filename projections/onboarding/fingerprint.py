"""The fingerprint of the projection logic: a hash of what decides a row's content, and of nothing else.

It covers the syntax trees of the definitions in `DEFINITIONS`, taken one by one and sorted. So comments,
docstrings, layout, imports, a definition's place and its module's name do not count.
"""

import ast
import hashlib
import inspect
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

from portal_hooks import contract
from projections import canonical_json
from projections.database.tables import onboard_sessions
from projections.envelope import CLOCK_TOLERANCE, effective_at
from projections.onboarding import events, fold, history, process, rows, tickets
from projections.onboarding.read_models import READ_MODELS

Definition = Any
"""A module, a class or a function: whatever `inspect` finds the source of."""

DEFINITIONS: Final[tuple[Definition, ...]] = (
    process,
    events,
    fold,
    rows,
    canonical_json,
    effective_at,
    history.foldable,
    tickets.TicketNeed,
    tickets.need,
    *(definition for model in READ_MODELS for definition in model.definitions),
)
"""How an event is read, sorted, folded and written, and what follows from the session's row."""


@cache
def fingerprint() -> str:
    """The fingerprint of the logic, as this code has it."""
    tables = (onboard_sessions, *(model.table for model in READ_MODELS))
    columns = [[(column.name, str(column.type)) for column in table.columns] for table in tables]
    declared = (list(contract.STAGE_OF.items()), contract.EVENT_TYPES, CLOCK_TOLERANCE, columns)
    return digest(map(_source, DEFINITIONS), declared)


def digest(sources: Iterable[str], declared: object) -> str:
    """The fingerprint of definitions, given as source texts, and of declared values, given as they print."""
    parts = sorted(part for source in sources for part in _parts(source))
    return hashlib.sha256("\n".join((*parts, repr(declared))).encode()).hexdigest()[:16]


def _source(definition: Definition) -> str:
    return inspect.getsource(definition)


def _parts(source: str) -> Iterator[str]:
    """What the source defines at its top level, each as text."""
    for node in ast.parse(source).body:
        if not (isinstance(node, ast.Import | ast.ImportFrom) or _is_text(node)):
            yield "".join(_canonical(node))


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
