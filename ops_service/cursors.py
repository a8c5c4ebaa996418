"""Opaque page cursors: a few JSON values, URL-safe."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from ops_service.problems import Problem
from portal_hooks.contract import FieldError
from portal_hooks.strict_json import read_json
from projections.canonical_json import canonical_json


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
