"""Opaque page cursors: a few JSON values, URL-safe."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ops_service.http.problems import Problem
from portal_hooks.contract import FieldError
from portal_hooks.strict_json import read_json
from projections.canonical_json import canonical_json

Row = TypeVar("Row")


def encode(values: Sequence[Any]) -> str:
    """The cursor that `decode` gives the values of."""
    text = canonical_json(list(values))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, *kinds: type) -> list[Any]:
    """The values of a cursor, which must be of these types. Raises Problem 422."""
    try:
        values = read_json(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        values = None
    if not isinstance(values, list) or [type(value) for value in values] != list(kinds):
        raise Problem.wrong(FieldError("/query/cursor", "is no cursor of this list"))
    return values


def position(cursor: str | None) -> int | None:
    """The position or id past which a page begins; None for the list's start. Raises Problem 422."""
    return decode(cursor, int)[0] if cursor else None


def cut(
    rows: Sequence[Row], limit: int, key: Callable[[Row], Sequence[Any]]
) -> tuple[Sequence[Row], str | None]:
    """A page of the `limit` + 1 rows read for it, and the next page's cursor; `key` gives what one holds."""
    return rows[:limit], encode(key(rows[limit - 1])) if len(rows) > limit else None
