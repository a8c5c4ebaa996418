"""Opaque page cursors: a few JSON values, URL-safe."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from ops_service.problems import Problem
from portal_hooks.contract import FieldError


def encode(values: Sequence[Any]) -> str:
    """The cursor that `decode` gives the values of."""
    text = json.dumps(values, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, *kinds: type) -> list[Any]:
    """The values of a cursor, which must be of these types. Raises Problem 422."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or [type(value) for value in values] != list(kinds):
        error = FieldError("/query/cursor", "is no cursor of this list")
        raise Problem(422, "The request has wrong parameters or fields.", errors=[error])
    if any(type(value) is int and not -(2**63) <= value < 2**63 for value in values):
        raise Problem(422, "The cursor is out of range.")
    return values
