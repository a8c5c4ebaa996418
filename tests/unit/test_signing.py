"""Signing and strict verification, against the published vectors and the public library as oracle."""

from __future__ import annotations

import base64
import json
import string
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from portal_hooks import signing
from portal_hooks.signing import (
    Rejection,
    SignatureRejected,
    generate_secret,
    headers_for,
    parse_secret,
    verify,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = parse_secret(SECRET)
OTHER_KEY = bytes(range(32))
NOW = 1_614_265_330

_VECTOR_FILE = Path(__file__).parents[2] / "docs" / "contracts" / "signature-vectors.json"
_PUBLISHED = json.loads(_VECTOR_FILE.read_text("utf-8"))
_VECTOR_KEYS = [(entry["source"], parse_secret(entry["secret"])) for entry in _PUBLISHED["keys"]]

_ID_CHARACTERS = string.ascii_letters + string.digits + string.punctuation.replace(".", "")
id_text = st.text(_ID_CHARACTERS, min_size=1, max_size=128)
keys = st.binary(min_size=24, max_size=64)
header_values = st.one_of(
    st.binary(max_size=64),
    st.text(string.digits, max_size=14).map(str.encode),
    st.sampled_from([b"msg_1", b"%d" % NOW, b"v1,AAAA", b"v1,", b",", b"v1,%s" % (b"A" * 44)]),
)
header_names = st.sampled_from(
    [signing.ID_HEADER, signing.TIMESTAMP_HEADER, signing.SIGNATURE_HEADER, b"host", b"Webhook-Id"]
)


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


def _signed(body: bytes = b"{}", webhook_id: str = "msg_1", at: int = NOW) -> list[tuple[bytes, bytes]]:
    return _raw(headers_for(KEY, webhook_id, body, at))


def _spell_secret(key: bytes) -> str:
    return signing.SECRET_PREFIX + base64.b64encode(key).decode()


@pytest.mark.parametrize("vector", _PUBLISHED["vectors"], ids=lambda vector: vector["name"])
def test_published_vector(vector: dict[str, Any]) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in vector["headers"]]
    body = vector["body"].encode()
    if vector["expect"] == "accept":
        assert verify(headers, body, _VECTOR_KEYS, vector["now"]).source == vector["source"]
        return
    with pytest.raises(SignatureRejected) as refusal:
        verify(headers, body, _VECTOR_KEYS, vector["now"])
    assert refusal.value.reason == vector["reason"]


def test_vectors_cover_every_reason() -> None:
    reasons = {vector.get("reason") for vector in _PUBLISHED["vectors"]} - {None}
    assert reasons == set(Rejection)


def test_signs_the_public_vector() -> None:
    token = signing.sign(KEY, "msg_p5jXN8AQM9LWM0D4loKWxJek", NOW, b'{"test": 2432232314}')
    assert token == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(key=keys, webhook_id=id_text, body=st.text(), at=st.integers(0, 10**11))
def test_accepts_whatever_the_public_library_signs(key: bytes, webhook_id: str, body: str, at: int) -> None:
    token = Webhook(key).sign(webhook_id, datetime.fromtimestamp(at, UTC), body)
    headers = {"webhook-id": webhook_id, "webhook-timestamp": str(at), "webhook-signature": token}
    verified = verify(_raw(headers), body.encode(), [("spare", OTHER_KEY), ("portal", key)], at)
    assert verified == ("portal", webhook_id)


@given(key=keys, webhook_id=id_text, body=st.text())
def test_the_public_library_accepts_whatever_we_sign(key: bytes, webhook_id: str, body: str) -> None:
    headers = headers_for(key, webhook_id, body.encode(), int(time.time()))
    Webhook(_spell_secret(key)).verify(body, headers, json_parse=False)


@given(
    headers=st.lists(st.tuples(header_names, header_values), max_size=6),
    body=st.binary(max_size=32),
    now=st.floats(0, 2e11),
)
@example(headers=[(name, b"\xff\x00") for name in sorted(signing._HEADERS)], body=b"", now=0.0)
def test_arbitrary_headers_are_refused_and_nothing_else(
    headers: list[tuple[bytes, bytes]], body: bytes, now: float
) -> None:
    with pytest.raises(SignatureRejected):
        verify(headers, body, [("portal", KEY)], now)


@given(noise=st.lists(st.binary(max_size=20), max_size=10).map(b" ".join), position=st.booleans())
def test_noise_beside_a_good_signature_is_judged_without_surprise(noise: bytes, position: bool) -> None:
    *others, (name, good) = _signed()
    value = good + b" " + noise if position else noise + b" " + good
    headers = [*others, (name, value)]
    if noise.count(b" ") + 2 <= signing.MAX_SIGNATURES:
        assert verify(headers, b"{}", [("portal", KEY)], NOW).source == "portal"
        return
    with pytest.raises(SignatureRejected) as refusal:
        verify(headers, b"{}", [("portal", KEY)], NOW)
    assert refusal.value.reason is Rejection.TOO_MANY_SIGNATURES


@given(body=st.binary(max_size=64), at=st.integers(0, 8 * 64 - 1))
def test_one_flipped_bit_of_the_body_is_refused(body: bytes, at: int) -> None:
    headers = _signed(body + b"{}")
    bit = at % (8 * len(body + b"{}"))
    changed = bytearray(body + b"{}")
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureRejected) as refusal:
        verify(headers, bytes(changed), [("portal", KEY)], NOW)
    assert refusal.value.reason is Rejection.NO_MATCHING_SIGNATURE


def test_every_reason_reads_the_same_in_public() -> None:
    assert len({str(SignatureRejected(reason)) for reason in Rejection}) == 1


def test_tolerance_can_be_narrowed() -> None:
    verify(_signed(at=NOW - 10), b"{}", [("portal", KEY)], NOW, tolerance=10)
    with pytest.raises(SignatureRejected) as refusal:
        verify(_signed(at=NOW - 11), b"{}", [("portal", KEY)], NOW, tolerance=10)
    assert refusal.value.reason is Rejection.STALE_TIMESTAMP


def test_without_keys_nothing_is_authentic() -> None:
    with pytest.raises(SignatureRejected):
        verify(_signed(), b"{}", [], NOW)


def test_a_key_shared_by_two_sources_counts_for_the_first() -> None:
    assert verify(_signed(), b"{}", [("first", KEY), ("second", KEY)], NOW).source == "first"


def test_every_key_is_compared_even_after_a_match(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def spy(expected: bytes, token: bytes) -> bool:
        compared.append(expected)
        return expected == token

    monkeypatch.setattr("portal_hooks.signing.hmac.compare_digest", spy)
    assert verify(_signed(), b"{}", [("first", KEY), ("second", OTHER_KEY)], NOW).source == "first"
    assert len(set(compared)) == 2


@pytest.mark.parametrize("webhook_id", ["", "a.b", "a b", "é", "\ud800", "i" * 129])
def test_refuses_to_sign_an_id_no_verifier_takes(webhook_id: str) -> None:
    with pytest.raises(ValueError, match="webhook id"):
        signing.sign(KEY, webhook_id, NOW, b"")


@pytest.mark.parametrize("timestamp", [-1, 10**12])
def test_refuses_to_sign_a_time_no_verifier_takes(timestamp: int) -> None:
    with pytest.raises(ValueError, match="timestamp"):
        signing.sign(KEY, "msg_1", timestamp, b"")


def test_generated_secrets_are_read_back_and_differ() -> None:
    first, second = generate_secret(), generate_secret()
    assert parse_secret(first) != parse_secret(second)
    assert len(parse_secret(first)) == 32


@given(key=keys)
def test_secret_is_read_with_and_without_padding(key: bytes) -> None:
    text = _spell_secret(key)
    assert parse_secret(text) == parse_secret(text.rstrip("=")) == key


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "starts with 'whsec_'"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "starts with 'whsec_'"),
        ("whsec_", "this one holds 0"),
        ("whsec_c2hvcnQ=", "this one holds 5"),
        (_spell_secret(b"k" * 65), "this one holds 65"),
        ("whsec_MfKQ9r8GKYqr TwjUPD8ILPZIo2LaLaSw", "not base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwA", "not base64"),
        ("whsec_ção", "not base64"),
    ],
)
def test_bad_secret_gets_one_line_that_does_not_repeat_it(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as error:
        parse_secret(text)
    assert "\n" not in str(error.value)
    assert len(text) < 10 or text[6:] not in str(error.value)
