"""Strict JSON: what passes here means the same to every reader and to both databases.

Refused beyond plain RFC 8259: NaN and infinities, integers beyond signed 64 bits, nesting deeper than 32,
more than 100,000 objects and arrays or keys of one object, NUL, lone surrogates, duplicate keys, a byte-order
mark and anything but UTF-8 (compare I-JSON, RFC 7493).
"""

import json
import math
import re
from operator import itemgetter
from typing import Any, Final

MAX_DEPTH: Final = 32
MAX_CONTAINERS: Final = 100_000
"""Objects and arrays in one body. While millions are made or freed, other threads wait for a second."""
MAX_KEYS: Final = 100_000
"""Keys of one object, for the same reason."""
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_SHOWN_POINTER = 200
_CONTAINERS = (dict, list)
_MANY_KEYS = 64
# A string or the opening of a container. An unfinished string matches too: searching for an end from each
# quotation mark would take quadratic time.
_STRING_OR_OPENING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]', re.DOTALL)
# The escapes that can name a NUL or a surrogate.
_SUSPECT_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


class MalformedJson(ValueError):
    """The bytes are no JSON that this service reads; the message says why and, where known, where."""


def read_json(body: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Parse `body`. Whole floats that fit 64 bits become ints: 1.0 and 1 are the same number.

    The time is linear in the length, whatever the body.

    Raises MalformedJson; of the body its text holds at most the keys that lead to the place.
    """
    if body.startswith(b"\xef\xbb\xbf"):
        raise MalformedJson("the body starts with a byte-order mark; send plain UTF-8")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise MalformedJson(f"the body is not UTF-8 (byte {error.start})") from None
    openings = text.count("{") + text.count("[")
    if openings > MAX_CONTAINERS:
        _check_containers(text)
    try:
        value = _decode(text)
    except json.JSONDecodeError as error:
        raise MalformedJson(f"not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise MalformedJson(f"nested deeper than {max_depth}") from None
    # NUL and lone surrogates need an escape, depth needs brackets: most bodies skip both walks.
    if openings > max_depth:
        _check_depth(value, max_depth, max_depth)
    if _SUSPECT_ESCAPE.search(text):
        _check(value, [])
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _MANY_KEYS:
        if len(pairs) > MAX_KEYS:
            raise MalformedJson(f"an object has more than {MAX_KEYS} keys")
        # msgspec writes the canonical form with a quicksort that a hostile order of keys makes quadratic, and
        # overflow the stack. Timsort has no such order, and sorted keys are easy for a quicksort.
        pairs.sort(key=itemgetter(0))
    result = dict(pairs)
    if len(result) != len(pairs):
        raise MalformedJson("an object has the same key twice")
    return result


def _integer(text: str) -> int:
    # The length is looked at first: int() refuses, slowly or with an error of its own, very long digits.
    if len(text) > 20 or not _SMALLEST <= (number := int(text)) <= _LARGEST:
        raise MalformedJson("an integer does not fit 64 bits")
    return number


def _float(text: str) -> float | int:
    number = float(text)
    if math.isinf(number):
        raise MalformedJson("a number is too large")
    return int(number) if number.is_integer() and _SMALLEST <= number <= _LARGEST else number


def _constant(name: str) -> Any:
    raise MalformedJson(f"{name} is not JSON")


def _check_containers(text: str) -> None:
    left = MAX_CONTAINERS
    for token in _STRING_OR_OPENING.finditer(text):
        left -= token[0] in "[{"
        if left < 0:
            raise MalformedJson(f"more than {MAX_CONTAINERS} objects and arrays")


def _check_depth(value: Any, left: int, max_depth: int) -> None:
    if not isinstance(value, _CONTAINERS):
        return
    if left == 0:
        raise MalformedJson(f"nested deeper than {max_depth}")
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, _CONTAINERS):
            _check_depth(item, left - 1, max_depth)


def _check(value: Any, path: list[str | int]) -> None:
    """Refuse NUL and lone surrogates. `path` leads to `value`; it becomes text only where one is found."""
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, _CONTAINERS):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if isinstance(key, str):
                _check_text(key, path)
            path.append(key)
            _check(item, path)
            path.pop()


def _check_text(text: str, path: list[str | int]) -> None:
    if "\0" in text:
        raise MalformedJson(f"a NUL character at {_place(path)}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MalformedJson(f"a lone surrogate at {_place(path)}") from None


def _place(path: list[str | int]) -> str:
    pointer = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
    if len(pointer) > _SHOWN_POINTER:
        return pointer[:_SHOWN_POINTER] + "…"
    return pointer or "(whole)"


_decode = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=_constant,
).decode
