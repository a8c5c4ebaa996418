"""Standard Webhooks as the specification and the contract say it, read plainly and without regard to time."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

NAMES: Final = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")


def is_authentic(
    headers: Sequence[tuple[bytes, bytes]], body: bytes, keys: Sequence[bytes], now: int
) -> bool:
    """One of each header, sent within five minutes, and among at most eight tokens one of one of the keys."""
    found = [[value for given, value in headers if given == name] for name in NAMES]
    if [len(values) for values in found] != [1, 1, 1]:
        return False
    [webhook_id], [timestamp], [signatures] = found
    if not (timestamp.isdigit() and timestamp == b"%d" % int(timestamp) and abs(now - int(timestamp)) <= 300):
        return False
    if not 1 <= len(webhook_id) <= 128 or any(
        not 0x21 <= byte <= 0x7E or byte == 0x2E for byte in webhook_id
    ):
        return False
    tokens = signatures.split(b" ")
    content = webhook_id + b"." + timestamp + b"." + body
    expected = [b"v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()) for key in keys]
    return len(tokens) <= 8 and len(signatures) <= 4096 and any(token in expected for token in tokens)
