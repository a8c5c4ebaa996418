"""The envelope: an event as the log takes it."""

import hashlib
from typing import Any, NamedTuple

from portal_hooks.contract import read_fields
from projections.canonical_json import canonical_json

CLOCK_TOLERANCE = 5 * 60 * 1_000_000
"""How far, in microseconds, a portal's clock may run ahead of ours before ours is used instead."""


class Envelope(NamedTuple):
    """A valid event, ready to be appended."""

    event_id: str
    event_type: str
    session_id: str
    occurred_at: int
    """Microseconds since 1970, UTC."""
    domain: str | None
    """Lower-case A-label form, without a trailing dot."""
    payload: str
    """The whole event as canonical JSON, unknown keys included."""
    content_hash: bytes
    """SHA-256 of the parsed content: equal for the same event in any key order, spacing or carrier."""


class Delivery(NamedTuple):
    """An authenticated event on its way into the log."""

    source: str
    received_at: int
    envelope: Envelope


class Appended(NamedTuple):
    """A delivery that is in the log now."""

    position: int
    delivery: Delivery
    effective_at: int


def parse_envelope(value: Any, carrier: frozenset[str] = frozenset()) -> Envelope:
    """Read a native envelope from parsed JSON. Keys of `carrier` are kept, but are not part of the content.

    Raises InvalidEvent naming all wrong fields at once.
    """
    fields = read_fields(value)
    content = {key: item for key, item in value.items() if item is not None and key not in carrier}
    content["occurred_at"] = fields.occurred_at
    content.pop("domain", None)
    if fields.domain is not None:
        content["domain"] = fields.domain
    content_hash = hashlib.sha256(canonical_json(content).encode()).digest()
    return Envelope(*fields, canonical_json(value), content_hash)


def effective_at(occurred_at: int, received_at: int) -> int:
    """The instant an event counts at: its own, or its receipt when its clock ran too far ahead."""
    return received_at if occurred_at - received_at > CLOCK_TOLERANCE else occurred_at
