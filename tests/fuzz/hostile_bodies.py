"""Bodies that cost a reader as much as it can be made to spend, of any wanted size."""

from collections.abc import Callable
from typing import Final

ESCAPED: Final = b'"\\u00e9\\u0065\\ud83d\\ude00"'


def _filled(unit: bytes, opening: bytes = b"[", closing: bytes = b"0]") -> Callable[[int], bytes]:
    def body(size: int) -> bytes:
        return opening + unit * ((size - len(opening) - len(closing)) // len(unit)) + closing

    return body


def _under_a_long_key(size: int) -> bytes:
    """The key leads to each of the many items."""
    return _filled(b"1,", b'[{"' + b"k" * (size // 2) + b'":[' + ESCAPED + b",", b"1]}]")(size)


def _many_objects(size: int) -> bytes:
    """As many as may be; the rest is one string of brackets, which have to be told from them."""
    objects = min(size // 40, 90_000)
    return b"[" + b'{"a":[]},' * (objects // 2) + b'"' + b"[" * (size - 5 * objects) + b'"]'


def _keys(size: int, order: Callable[[int], list[int]]) -> bytes:
    count = size // 21 | 1
    return b"[{" + b",".join(b'"%016d":1' % number for number in order(count)) + b"}]"


def _hostile_order(count: int) -> list[int]:
    """Each median of first, middle and last is the smallest key but one (McIlroy, "A Killer Adversary for
    Quicksort"): a partition takes only two keys away. `count` is odd."""
    places, value = list(range(count)), [count - 1] * count
    for low in range(0, count - 1, 2):
        middle = (low + count - 1) // 2
        value[places[low]], value[places[middle]] = low, low + 1
        places[low + 1], places[middle] = places[middle], places[low + 1]
    return value


def _events(field: bytes) -> Callable[[int], bytes]:
    """Events that are wrong in every field and as long as `field` times their share of the size."""

    def body(size: int) -> bytes:
        count = 100
        long = field * (size // count // 4 // len(field))
        keys = (b"event_id", b"domain", b"occurred_at", b"event_type")
        event = b"{" + b",".join(b'"%s":"%s"' % (key, long) for key in keys) + b"}"
        return b"[" + b",".join([event] * count) + b"]"

    return body


HOSTILE: Final[dict[str, Callable[[int], bytes]]] = {
    "a long key above escapes": _under_a_long_key,
    "many objects and brackets": _many_objects,
    "keys in a quicksort's worst order": lambda size: _keys(size, _hostile_order),
    "keys in reverse": lambda size: _keys(size, lambda count: list(range(count))[::-1]),
    "integers": _filled(b"1,"),
    "whole floats": _filled(b"1e0,"),
    "empty arrays": _filled(b"[],"),
    "empty objects behind an escape": _filled(b"{},", b"[" + ESCAPED + b","),
    "deep arrays": _filled(b"[" * 30 + b"]" * 30 + b","),
    "deepest": lambda size: b"[" * size,
    "a suspect escape and many texts": _filled(b'"e",', b'["\\ud83d\\ude00",'),
    "escapes": _filled(b"\\u00e9", b'["', b'"]'),
    "a long integer": lambda size: b"[" + b"1" * (size - 2) + b"]",
    "a long fraction": lambda size: b"[0." + b"1" * (size - 4) + b"]",
    "a long exponent": lambda size: b"[1e-" + b"9" * (size - 5) + b"]",
    "a number at the edge of floats": lambda size: b"[2.2250738585072011" + b"0" * (size - 30) + b"1e-308]",
    "quotation marks without an end": lambda size: b"[" * 200_000 + b'"' + b'\\"' * (size // 2),
    "white space": lambda size: b"[" + b" \n" * (size // 2) + b"]",
    "long domains": _events("é.".encode()),
    "domains of soft hyphens": _events("\u00ad".encode()),
    "domains of joiners": _events("क\u094d\u200d".encode()),
    "domains in punycode": _events(b"xn--a"),
}
