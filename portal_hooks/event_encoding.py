"""From a hook's arguments to the bytes that Ops will read, checked as Ops will check them.

The usual event is checked by a few quick rules, each of them narrower than the contract. Whatever they cannot
vouch for is read back strictly, so that the contract alone decides what is refused.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring
from os import urandom
from typing import Any, Final, NamedTuple

from portal_hooks import contract
from portal_hooks.strict_json import MAX_DEPTH, read_json

_MIN_INTEGER: Final = -(2**63)
_MAX_INTEGER: Final = 2**63 - 1
_plain_identifier = re.compile(r"[A-Za-z0-9_\-:]{1,128}").fullmatch
_plain_event_type = re.compile(r"[a-z0-9_.\-]{1,64}").fullmatch
json_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class EncodedEvent(NamedTuple):
    """An event that Ops will accept, serialised once."""

    event_id: str
    session_id: str
    body: bytes


def encode_event(
    event_type: str,
    session_id: str,
    domain: str | None = None,
    data: Mapping[str, Any] | None = None,
    event_id: str | None = None,
    occurred_at: str | datetime | None = None,
) -> EncodedEvent:
    """Serialise and check one event. `occurred_at` is now unless given.

    Raises ValueError or TypeError, so that a wrong call shows where it was made.
    """
    event_id = urandom(16).hex() if event_id is None else event_id
    if data is not None and type(data) is not dict:
        data = dict(data)
    if occurred_at is None and _is_plain(event_id, event_type, session_id, domain, data):
        inner = "" if data is None else ',"data":' + json_text(data)
        outer = "" if domain is None else ',"domain":' + encode_basestring(domain)
        body = (
            f'{{"event_id":"{event_id}","event_type":"{event_type}","session_id":"{session_id}",'
            f'"occurred_at":"{_now_text()}"{outer}{inner}}}'
        ).encode()
        _check_size(body)
        return EncodedEvent(event_id, session_id, body)
    return _encode_strictly(event_type, session_id, domain, data, event_id, occurred_at)


def _encode_strictly(
    event_type: str,
    session_id: str,
    domain: str | None,
    data: Mapping[str, Any] | None,
    event_id: str,
    occurred_at: str | datetime | None,
) -> EncodedEvent:
    envelope = {
        "event_id": event_id,
        "event_type": event_type,
        "session_id": session_id,
        "occurred_at": occurred_at.isoformat() if isinstance(occurred_at, datetime) else occurred_at,
        "domain": domain,
        "data": data,
    }
    if occurred_at is None:
        envelope["occurred_at"] = _now_text()
    body = json_text({key: value for key, value in envelope.items() if value is not None}).encode()
    _check_size(body)
    read = contract.read_fields(read_json(body))
    return EncodedEvent(read.event_id, read.session_id, body)


def _check_size(body: bytes) -> None:
    if len(body) > contract.MAX_EVENT_BYTES:
        raise ValueError(f"the event has {len(body)} bytes, more than {contract.MAX_EVENT_BYTES}")


def _is_plain(
    event_id: object, event_type: object, session_id: object, domain: object, data: dict[str, Any] | None
) -> bool:
    return (
        type(event_id) is str
        and _plain_identifier(event_id) is not None
        and type(session_id) is str
        and _plain_identifier(session_id) is not None
        and type(event_type) is str
        and _plain_event_type(event_type) is not None
        and (domain is None or (type(domain) is str and _is_domain(domain)))
        and (data is None or _is_plain_value(data, 1))
    )


def _is_plain_value(value: object, depth: int) -> bool:
    """Surely means the same to every JSON reader. Lone surrogates are left to the encoding to UTF-8."""
    kind = type(value)
    if kind is str:
        return "\0" not in value  # type: ignore[operator]
    if kind is int:
        return _MIN_INTEGER <= value <= _MAX_INTEGER  # type: ignore[operator]
    if kind is dict:
        items: dict[Any, Any] = value  # type: ignore[assignment]
        return depth < MAX_DEPTH and all(
            type(key) is str and "\0" not in key and _is_plain_value(item, depth + 1)
            for key, item in items.items()
        )
    if kind is list:
        return depth < MAX_DEPTH and all(_is_plain_value(item, depth + 1) for item in value)  # type: ignore[attr-defined]
    return value is None or kind is bool or kind is float


@lru_cache(maxsize=4096)
def _is_domain(domain: str) -> bool:
    return contract.normalise_domain(domain) is not None


@lru_cache(maxsize=2)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _now_text() -> str:
    second, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{_second_text(second)}.{microseconds:06d}Z"
