"""Canonical JSON: one text for equal values, by which the log compares events and keeps them."""

from typing import Any

import msgspec


def canonical_json(value: Any) -> str:
    """Sorted keys, no spaces, characters unescaped. For values that `read_json` has let pass."""
    return _encode(value).decode()


_encode = msgspec.json.Encoder(order="sorted").encode
