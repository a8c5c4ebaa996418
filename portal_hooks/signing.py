"""Standard Webhooks signatures (https://www.standardwebhooks.com): signing, and strict verification.

The signed content is ``id.timestamp.body``, authenticated by HMAC-SHA256 and sent as ``v1,<base64>``. The
verifier reads the raw ASGI header list, so that what it judges is exactly what came over the wire.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

SECRET_PREFIX = "whsec_"
MIN_KEY_BYTES = 24
MAX_KEY_BYTES = 64
MAX_SIGNATURES = 8
DEFAULT_TOLERANCE_SECONDS = 300

ID_HEADER = b"webhook-id"
TIMESTAMP_HEADER = b"webhook-timestamp"
SIGNATURE_HEADER = b"webhook-signature"
_HEADERS = frozenset((ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER))

# No full stop: it separates the signed parts; inside an id it would let one signature be read in two ways.
WEBHOOK_ID = re.compile(rb"[!-\-/-~]{1,128}")
# Seconds without sign or leading zero; twelve digits reach beyond the year 30000.
TIMESTAMP = re.compile(rb"0|[1-9][0-9]{0,11}")
_TOKEN = re.compile(rb"v1,[A-Za-z0-9+/]{43}=")
# Eight of the longest known signatures (v1a, 92 characters) fit several times over.
_MAX_SIGNATURE_HEADER_BYTES = 4096


class Rejection(StrEnum):
    """Why a delivery was refused; for metrics and logs, never for the caller."""

    MISSING_HEADER = "missing_header"
    DUPLICATE_HEADER = "duplicate_header"
    MALFORMED_ID = "malformed_id"
    MALFORMED_TIMESTAMP = "malformed_timestamp"
    STALE_TIMESTAMP = "stale_timestamp"
    TOO_MANY_SIGNATURES = "too_many_signatures"
    NO_MATCHING_SIGNATURE = "no_matching_signature"


class SignatureRejected(Exception):
    """The delivery is not authentic. Its text is the same for every reason: it teaches a forger nothing.

    `reason` is for metrics and logs.
    """

    def __init__(self, reason: Rejection) -> None:
        super().__init__("The webhook signature is missing, malformed, out of date or does not match.")
        self.reason = reason


class Claim(NamedTuple):
    """What a delivery's headers say of it, well-formed and in time; whether it is true, the body shows."""

    webhook_id: bytes
    timestamp: bytes
    tokens: Sequence[bytes]


class Verified(NamedTuple):
    """What an accepted signature proves: whose key made it, and the delivery's id."""

    source: str
    webhook_id: str


def parse_secret(text: str) -> bytes:
    """The key inside ``whsec_<base64>``. Raises ValueError with one line that never repeats the secret."""
    if not text.startswith(SECRET_PREFIX):
        raise ValueError(f"a webhook secret starts with '{SECRET_PREFIX}', then base64; this one does not")
    encoded = text[len(SECRET_PREFIX) :]
    # Generators of other projects leave the padding out, and the public library reads such secrets.
    padding = "" if encoded.endswith("=") else "=" * (-len(encoded) % 4)
    try:
        key = base64.b64decode(encoded + padding, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"the part of the webhook secret after '{SECRET_PREFIX}' is not base64") from None
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ValueError(
            f"a webhook secret holds {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes; this one holds {len(key)}"
        )
    return key


def generate_secret() -> str:
    """A new random secret of 32 bytes, as ``whsec_<base64>``."""
    return SECRET_PREFIX + base64.b64encode(os.urandom(32)).decode("ascii")


def sign(key: bytes, webhook_id: str, timestamp: int, body: bytes) -> str:
    """The token ``v1,<base64>``. Raises ValueError for an id or a time that `verify` would refuse."""
    raw_id = webhook_id.encode("utf-8", "surrogatepass")
    raw_timestamp = b"%d" % timestamp
    if not WEBHOOK_ID.fullmatch(raw_id):
        raise ValueError("a webhook id is 1 to 128 visible ASCII characters without a full stop")
    if not TIMESTAMP.fullmatch(raw_timestamp):
        raise ValueError("a webhook timestamp is in whole Unix seconds, not negative and at most 12 digits")
    return _token(key, b".".join((raw_id, raw_timestamp, body))).decode("ascii")


def headers_for(key: bytes, webhook_id: str, body: bytes, now: int) -> dict[str, str]:
    """The headers of one delivery attempt made at `now` (Unix seconds). Raises ValueError as `sign` does."""
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(key, webhook_id, now, body),
    }


def verify(
    headers: Iterable[tuple[bytes, bytes]],
    body: bytes,
    keys: Sequence[tuple[str, bytes]],
    now: float,
    tolerance: int = DEFAULT_TOLERANCE_SECONDS,
) -> Verified:
    """Check one delivery against every live key.

    `keys` pairs a source's name with a key, several per source while it rotates. Raises only
    SignatureRejected.
    """
    return verify_claim(read_claim(headers, now, tolerance), body, keys)


def read_claim(
    headers: Iterable[tuple[bytes, bytes]], now: float, tolerance: int = DEFAULT_TOLERANCE_SECONDS
) -> Claim:
    """What the headers say: all that can be judged before the body is there.

    `headers` is the raw ASGI list (lower-case names), `now` and `tolerance` are in seconds. Raises
    SignatureRejected.
    """
    found = _signature_headers(headers)
    raw_id, raw_timestamp = found[ID_HEADER], found[TIMESTAMP_HEADER]
    if not WEBHOOK_ID.fullmatch(raw_id):
        raise SignatureRejected(Rejection.MALFORMED_ID)
    if not TIMESTAMP.fullmatch(raw_timestamp):
        raise SignatureRejected(Rejection.MALFORMED_TIMESTAMP)
    tokens = _signature_tokens(found[SIGNATURE_HEADER])
    timestamp = int(raw_timestamp)
    # Before the signature, so that the answer to an old delivery does not tell whether it was once genuine.
    if not -tolerance <= now - timestamp <= tolerance:
        raise SignatureRejected(Rejection.STALE_TIMESTAMP)
    if not any(map(_TOKEN.fullmatch, tokens)):
        raise SignatureRejected(Rejection.NO_MATCHING_SIGNATURE)
    return Claim(raw_id, raw_timestamp, tokens)


def verify_claim(claim: Claim, body: bytes, keys: Sequence[tuple[str, bytes]]) -> Verified:
    """Check the claim against the body and every live key. Raises SignatureRejected."""
    content = b".".join((claim.webhook_id, claim.timestamp, body))
    return Verified(_matching_source(keys, content, claim.tokens), claim.webhook_id.decode("ascii"))


def _signature_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _HEADERS:
            if name in found:
                raise SignatureRejected(Rejection.DUPLICATE_HEADER)
            found[name] = value
    if len(found) != len(_HEADERS):
        raise SignatureRejected(Rejection.MISSING_HEADER)
    return found


def _signature_tokens(value: bytes) -> list[bytes]:
    if len(value) > _MAX_SIGNATURE_HEADER_BYTES:
        raise SignatureRejected(Rejection.TOO_MANY_SIGNATURES)
    tokens = value.split(b" ", MAX_SIGNATURES)
    if len(tokens) > MAX_SIGNATURES:
        raise SignatureRejected(Rejection.TOO_MANY_SIGNATURES)
    return tokens


def _matching_source(keys: Sequence[tuple[str, bytes]], content: bytes, tokens: Sequence[bytes]) -> str:
    """The first source whose key made one of the tokens.

    The expected token is compared in its encoded form: only canonical base64 can be equal to it, and tokens
    of other versions cannot. Every pair is compared, so that the time taken does not tell which matched.
    """
    source: str | None = None
    for name, key in keys:
        expected = _token(key, content)
        for token in tokens:
            if hmac.compare_digest(expected, token) and source is None:
                source = name
    if source is None:
        raise SignatureRejected(Rejection.NO_MATCHING_SIGNATURE)
    return source


def _token(key: bytes, content: bytes) -> bytes:
    # Not hmac.digest(): that gives up the interpreter for each call, and beside a busy thread every wait to
    # get it back costs milliseconds.
    mac = _keyed(key).copy()
    mac.update(content)
    return b"v1," + binascii.b2a_base64(mac.digest(), newline=False)


@lru_cache(maxsize=64)
def _keyed(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")
