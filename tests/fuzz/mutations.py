"""Requests to the ingress that are nearly right: made from a seed, so that each can be made again."""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from portal_hooks.contract import EVENT_TYPES
from portal_hooks.signing import headers_for
from tests.fuzz.signature_oracle import is_authentic
from tests.running_ops import INGRESS, KEY, OTHER_KEY

MARKER: Final = "Zq7-never-to-be-echoed"
"""Stands in every payload; no error may repeat it."""

Headers = list[tuple[bytes, bytes]]

CLOUDEVENT: Final = "application/cloudevents+json"
CLOUDEVENT_BATCH: Final = "application/cloudevents-batch+json"

TOKENS: Final = [
    b'"', b"\\", b"\\u0000", b"\\ud800", b"\\udc00", b"\0", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80",
    b"\xef\xbb\xbf", b"NaN", b"-Infinity", b"1e999", b"-0", b"0x1", b"9223372036854775808", b"9" * 400,
    b"[" * 40, b"]" * 40, b'{"a":' * 40, b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"\xc2\xa0",
    b"\n", b"\x7f", b"//", b"/**/", b'"event_id":"x",', b'"session_id":"s",', b"+01:00", b":60", b"T24",
    b"xn--", b".", b"-", b"\xe2\x80\xae",
]  # fmt: skip
VALUES: Final[list[Any]] = [
    None, True, False, 0, -1, 1.5, 1e300, 2**63 - 1, -(2**63), 2**63, "", " ", "a" * 65, "a" * 129, "a\n",
    "é", "\U0001f600", "10.0.0.1", "Acme.PT.", "xn--a", "é.pt", "-a.pt", "a" * 63 + ".pt",
    "2026-02-30T00:00:00Z", "2026-06-08T12:00:60Z", "0001-01-01T00:00:00+01:00",
    "9999-12-31T23:59:59.999999Z", "2026-06-08T12:00:00", [], {}, [[]], {"domain": "acme.pt"},
    {"success": False}, {"infra_status": "failed"}, {"step": 1, "code": None, "reason": ["x"]}, [1] * 50,
    {"": {"": ""}},
]  # fmt: skip
MEDIA_TYPES: Final = [
    "", "text/plain", "application/json; charset=utf-8", 'application/json;charset="UTF-8"',
    "application/json; charset=latin-1", "application/json;", "APPLICATION/JSON", CLOUDEVENT,
    CLOUDEVENT_BATCH, "multipart/form-data", "application/json, text/plain", "é/ü",
]  # fmt: skip
ODD_VALUES: Final = [
    b"", b" ", b"v1,", b"v1", b"v1,AAAA", b"v1, v1, v1,", b"v1," + b"A" * 5000, b"v2,x", b"\xff\xfe",
    b"-1", b"0", b"+1780920000", b"1780920000.5", b"1e9", b"9" * 12, b"9" * 13, b"\xd9\xa1", b"01", b"a.b",
    b"a" * 129, b"a b", b"x", b"null",
]  # fmt: skip
OTHER_HEADERS: Final = [
    (b"ce-id", b"1"), (b"content-length", b"abc"), (b"content-length", b"-1"),
    (b"content-length", b"9" * 30), (b"content-length", b"\xb2"), (b"x-forwarded-for", b"8.8.8.8"),
    (b"x-forwarded-for", b"\xff, ::1, ,"), (b"content-encoding", b"gzip"),
    (b"content-type", b"application/json"), (b"expect", b"100-continue"),
    (b"authorization", b"Bearer \xff"), (b"cookie", b"="), (b"host", b"evil.example"), (b"host", b"[::1"),
    (b"accept", b"\x80"), (b"origin", b"null"), (b"webhook-request-origin", b"a"),
    (b"transfer-encoding", b"chunked"), (b"connection", b"upgrade"), (b"upgrade", b"websocket"),
    (b"", b""), (b"range", b"bytes=0-"),
]  # fmt: skip
PATHS: Final = [
    "/", "/api/v1/webhooks", f"{INGRESS}/", f"{INGRESS}/batch/", f"{INGRESS}/x", INGRESS.upper(),
    "//" + INGRESS, "/static/../x", "/static/\0", "/api/v1/events/1", "/healthz", "/openapi.json",
    "/\udc80", "*", "",
]  # fmt: skip
METHODS: Final = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "X" * 300]


@dataclass
class Sent:
    """A request as the application gets it."""

    method: str
    path: str
    headers: Headers
    body: bytes
    chunks: list[bytes] = field(default_factory=list)
    complete: bool = True
    """False: the client goes away before the body's end."""
    authentic: bool = False
    """The signature is one that may be accepted; else nothing may be stored."""


def request(random: Random, name: str, now: int) -> Sent:
    """A request that would be right but for a few faults, or none. `name` makes its event ids its own."""
    batch, carried = random.random() < 0.25, random.random() < 0.35
    count = random.randint(0, 4) if batch else 1
    events = [_event(random, f"{name}-{number}", carried=carried) for number in range(count)]
    ids = tuple(each["id" if carried else "event_id"] for each in events)
    if random.random() < 0.5:
        _spoil_values(random, events)
    body = json.dumps(events if batch else events[0], ensure_ascii=random.random() < 0.5).encode()
    if random.random() < 0.4:
        body = spoil_bytes(random, body)
    media_type = (CLOUDEVENT_BATCH if batch else CLOUDEVENT) if carried else "application/json"
    path = f"{INGRESS}/batch" if batch else INGRESS
    sent = Sent("POST", path, [(b"content-type", media_type.encode())], body)
    _sign(random, sent, ids[0] if ids and not batch else f"{name}-delivery", now)
    _spoil_request(random, sent)
    _cut_into_chunks(random, sent)
    sent.authentic = sent.complete and is_authentic(
        sent.headers, b"".join(sent.chunks), [KEY, OTHER_KEY], now
    )
    return sent


def _event(random: Random, event_id: str, *, carried: bool) -> dict[str, Any]:
    data: dict[str, Any] = {"secret": MARKER, "number": random.choice([1, 1.0, -0.0, 2**53])}
    event = {
        "event_id": event_id,
        "event_type": random.choice([*EVENT_TYPES, "coffee.served"]),
        "session_id": f"s{random.randrange(50)}",
        "occurred_at": f"2026-06-08T12:00:{random.randrange(60):02}.{random.randrange(1000):03}Z",
        "data": data,
    }
    if not carried:
        return event
    names = {
        "event_id": "id",
        "event_type": "type",
        "session_id": "subject",
        "occurred_at": "time",
        "data": "data",
    }
    return {"specversion": "1.0", "source": "/fuzz"} | {names[key]: value for key, value in event.items()}


def _spoil_values(random: Random, events: list[Any]) -> None:
    for event in random.sample(events, min(len(events), random.randint(0, 2))):
        key = random.choice([*event, "domain", "data", "extra", "data_base64"])
        if random.random() < 0.3:
            event.pop(key, None)
        else:
            event[key] = random.choice(VALUES)
    if events and random.random() < 0.1:
        events[random.randrange(len(events))] = random.choice(VALUES)


def spoil_bytes(random: Random, body: bytes) -> bytes:
    """The body with up to three faults anywhere in it."""
    for _ in range(random.randint(1, 3)):
        at = random.randint(0, len(body))
        until = min(len(body), at + random.randint(0, 30))
        body = random.choice(_BYTE_FAULTS)(random, body, at, until)
    return body


_BYTE_FAULTS: Final[list[Callable[[Random, bytes, int, int], bytes]]] = [
    lambda random, body, at, _: body[:at] + random.choice(TOKENS) + body[at:],
    lambda random, body, at, _: body[:at] + random.choice(TOKENS) + body[at:],
    lambda random, body, at, until: body[:at] + random.choice(TOKENS) + body[until:],
    lambda random, body, at, _: body[:at] + random.randbytes(1) + body[at + 1 :],
    lambda _random, body, at, until: body[:at] + body[until:],
    lambda _random, body, at, until: body[:until] + body[at:until] + body[until:],
    lambda _random, body, at, _: body[:at],
    lambda random, _body, _at, _until: random.randbytes(random.randint(0, 40)),
]


def _sign(random: Random, sent: Sent, webhook_id: str, now: int) -> None:
    fault = random.random()
    key, sent_at, body = KEY, now, sent.body
    if fault < 0.04:
        key = b"x" * 32
    elif fault < 0.08:
        sent_at = now - random.choice([-9000, 9000, now])
    elif fault < 0.12:
        body += b" "
    elif fault < 0.2:
        key = OTHER_KEY
    signed = headers_for(key, webhook_id, body, sent_at)
    sent.headers += [(header.encode(), value.encode()) for header, value in signed.items()]


def _spoil_request(random: Random, sent: Sent) -> None:
    for _ in range(random.choice([0, 0, 0, 1, 2])):
        random.choice(_REQUEST_FAULTS)(random, sent)


def _spoil_a_signature_header(random: Random, sent: Sent) -> None:
    at = random.randint(1, 3)
    name, value = sent.headers[at]
    fault = random.randrange(4)
    if fault == 0:
        sent.headers[at] = (b"x-none", b"")
    elif fault == 1:
        sent.headers.append((name, value))
    elif fault == 2:
        sent.headers[at] = (name, random.choice([odd for odd in ODD_VALUES if odd != value]))
    else:
        sent.headers[at] = (name, value + random.choice([b" ", b",", b"\0", b"="]))


def _add_junk_signature(random: Random, sent: Sent) -> None:
    junk = b"v1," + b64encode(random.randbytes(random.choice([0, 31, 32])))
    sent.headers = [
        (name, junk + b" " + value if name == b"webhook-signature" else value) for name, value in sent.headers
    ]


def _change_media_type(random: Random, sent: Sent) -> None:
    sent.headers[0] = (b"content-type", random.choice(MEDIA_TYPES).encode("latin-1"))


def _change_path(random: Random, sent: Sent) -> None:
    sent.path = random.choice(PATHS)


def _change_method(random: Random, sent: Sent) -> None:
    sent.method = random.choice(METHODS)


def _add_header(random: Random, sent: Sent) -> None:
    sent.headers.append(random.choice(OTHER_HEADERS))


_REQUEST_FAULTS: Final = [
    _spoil_a_signature_header, _spoil_a_signature_header, _add_junk_signature, _change_media_type,
    _change_path, _change_method, _add_header, _add_header,
]  # fmt: skip


def _cut_into_chunks(random: Random, sent: Sent) -> None:
    body = sent.body
    fault = random.random()
    if fault < 0.02:
        sent.complete = False
        body = body[: random.randint(0, max(0, len(body) - 1))]
    elif fault < 0.025:
        body += b" " * random.choice([65_536, 65_536, 65_536, 200_000, 4_200_000])
    size = random.choice([1, 7, 100]) if fault > 0.9 and len(body) < 1000 else max(1, len(body))
    sent.chunks = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
