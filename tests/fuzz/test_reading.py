"""Bytes and headers by the hundred thousand against the pure reader and verifier, beside an oracle each."""

import base64
import hmac
import json
from contextlib import suppress
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ops_service.ingress.cloudevents import to_native
from portal_hooks.contract import InvalidEvent
from portal_hooks.signing import SignatureRejected, verify
from portal_hooks.strict_json import MAX_DEPTH, MalformedJson, read_json
from projections.envelope import Envelope, parse_envelope
from tests.contracts.reading_vectors import load
from tests.fuzz.budget import TIMEOUT_SECONDS, share
from tests.fuzz.mutations import ODD_VALUES, spoil_bytes
from tests.fuzz.signature_oracle import NAMES, is_authentic
from tests.running_ops import KEY, OTHER_KEY

# Bodies of a few hundred bytes: large ones only cost time here, the reading vectors have them.
CORPUS = [vector.body for vector in load() if len(vector.body) < 500]
BURST = 500
UNSHRINKABLE = settings(
    max_examples=share(200),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class _Twice(Exception):
    """A key stands twice in one object."""


def oracle(body: bytes) -> Any:
    """The value, by another parser and a plain walk. Raises when strict reading must refuse."""
    value = msgspec.json.decode(body, strict=True)
    body.decode("utf-8")
    json.loads(body, object_pairs_hook=_unique)
    _walk(value, 0)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _Twice
    return dict(pairs)


def _walk(value: Any, containers: int) -> None:
    if isinstance(value, list | dict):
        assert containers < MAX_DEPTH
        for item in value.values() if isinstance(value, dict) else value:
            _walk(item, containers + 1)
        for key in value if isinstance(value, dict) else ():
            _walk(key, MAX_DEPTH)
    elif isinstance(value, str):
        assert "\0" not in value
        value.encode("utf-8")
    elif type(value) is int:
        assert -(2**63) <= value < 2**63


def check_reading(body: bytes) -> None:
    try:
        value = read_json(body)
    except MalformedJson:
        with pytest.raises((msgspec.MsgspecError, AssertionError, ValueError, RecursionError, _Twice)):
            oracle(body)
        return
    assert value == oracle(body)
    for read in (parse_envelope, _from_cloudevent):
        with suppress(InvalidEvent):
            check_envelope(read(value))


def _from_cloudevent(value: Any) -> Envelope:
    return parse_envelope(to_native(value))


def check_envelope(envelope: Envelope) -> None:
    """What is stored reads back as the same event, and both databases can hold it."""
    again = parse_envelope(read_json(envelope.payload.encode()))
    assert again == envelope
    assert "\0" not in envelope.payload
    assert envelope.domain is None or (envelope.domain.isascii() and len(envelope.domain) <= 253)


@pytest.mark.timeout(TIMEOUT_SECONDS)
@UNSHRINKABLE
@given(st.integers(0, 2**64 - 1))
def test_spoiled_bodies_are_read_as_the_oracle_reads_them(seed: int) -> None:
    random = Random(seed)
    for _ in range(BURST):
        check_reading(spoil_bytes(random, random.choice(CORPUS)))


@settings(max_examples=share(1000))
@given(st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_as_the_oracle_reads_them(body: bytes) -> None:
    check_reading(body)


NOW = 1_780_920_000
KEYS = [("portal", KEY), ("other", OTHER_KEY)]


def signed_headers(random: Random, body: bytes) -> list[tuple[bytes, bytes]]:
    """Made with a right key, though perhaps over an id or a time that must not be taken."""
    webhook_id = random.choice([b"e1"] * 5 + [b"a.b", b"", b"a" * 128, b"a" * 129, b"a b", b"\xe9", b"a\n"])
    timestamp = b"%d" % (NOW + random.choice([0, 0, 0, 299, 300, 301, -300, -301]))
    if random.random() < 0.2:
        timestamp = random.choice(
            [b"0" + timestamp, b"+" + timestamp, b" " + timestamp, timestamp + b".0", b"-1"]
        )
    content = b".".join([webhook_id, timestamp, body])
    token = b"v1," + base64.b64encode(hmac.digest(random.choice([KEY, OTHER_KEY]), content, "sha256"))
    if random.random() < 0.4:
        junk = random.choice(
            [b"v1,AAAA", b"v2,x", b"", b"v1", token.lower(), token + b"=", token[:-1], b"\xff"]
        )
        before, behind = random.choice([(1, 0), (0, 1), (7, 0), (8, 0), (0, 7), (0, 8)])
        token = b" ".join([*[junk] * before, token, *[junk] * behind])
    return list(zip(NAMES, [webhook_id, timestamp, token], strict=True))


def spoiled_headers(random: Random, body: bytes) -> list[tuple[bytes, bytes]]:
    headers = signed_headers(random, body)
    for _ in range(random.choice([0, 0, 1, 2])):
        at = random.randrange(len(headers))
        name, value = headers[at]
        fault = random.randrange(4)
        if fault == 0:
            headers[at] = (random.choice([*NAMES, b"x-webhook-id"]), value)
        elif fault == 1:
            headers.insert(at, (name, random.choice([value, *ODD_VALUES])))
        elif fault == 2:
            headers[at] = (name, random.choice(ODD_VALUES))
        else:
            headers[at] = (name, spoil_bytes(random, value))
    return headers


@pytest.mark.timeout(TIMEOUT_SECONDS)
@UNSHRINKABLE
@given(st.integers(0, 2**64 - 1))
def test_spoiled_signatures_are_judged_as_the_specification_says(seed: int) -> None:
    random, accepted = Random(seed), 0
    for _ in range(BURST // 2):
        body = random.randbytes(random.randint(0, 40))
        headers = spoiled_headers(random, body)
        try:
            verified = verify(headers, body, KEYS, NOW)
        except SignatureRejected:
            assert not is_authentic(headers, body, [KEY, OTHER_KEY], NOW), (headers, body)
        else:
            assert is_authentic(headers, body, [KEY, OTHER_KEY], NOW), (headers, body)
            assert verified.source in ("portal", "other")
            accepted += 1
    assert BURST / 40 < accepted < BURST / 2.5
