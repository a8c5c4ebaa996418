"""Requests as bytes on the wire: framed rightly, oddly or wrongly, from a seed; and the answers read back."""

import json
from dataclasses import dataclass
from random import Random
from typing import Final

from portal_hooks.signing import headers_for
from tests.running_ops import INGRESS, KEY, event

CANARY: Final = b"GET /healthz HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n"
"""Follows every request: it must be answered after it, or not at all."""

ODD_SIZES: Final = [
    b"", b" ", b"-1", b"+5", b"0x5", b"5_0", b"zz", b"\xb2", b"1" * 17, b"F" * 16, b"8" + b"0" * 15,
    b"1e3", b"5,5",
]  # fmt: skip
ODD_HEADERS: Final = [
    b"Content-Length : 5", b"Content-Length: 5, 5", b"Content-Length: 0x5", b"Content-Length:\r\n 5",
    b"Content-Length: ", b"Transfer-Encoding: identity", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding : chunked", b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Expect: 100-continue",
    b"Expect: the-unexpected", b"Upgrade: h2c\r\nConnection: upgrade",
    b"Upgrade: websocket\r\nConnection: upgrade", b"X-Nul: a\0b", b"X-Cr: a\rb", b"X-Folded: a\r\n b",
    b": no name", b"no colon", b"\xff: x", b"X-High: \xff\xfe", b"Host: other", b"X-Long: " + b"x" * 9000,
]  # fmt: skip
ODD_LINES: Final = [
    b"POST  %s HTTP/1.1", b"post %s HTTP/1.1", b"POST %s HTTP/1.0", b"POST %s HTTP/0.9",
    b"POST %s HTTP/2.0", b"POST %s", b"POST %s\t HTTP/1.1", b"POST http://other%s HTTP/1.1",
    b"POST %s?\xff HTTP/1.1", b"POST %s#x HTTP/1.1", b"\0POST %s HTTP/1.1", b"PRI * HTTP/2.0",
    b"\r\n\r\nPOST %s HTTP/1.1", b"POST %s%%00 HTTP/1.1", b"CONNECT %s HTTP/1.1", b"\x16\x03\x01%s",
]  # fmt: skip


@dataclass
class Framed:
    """Bytes for one connection."""

    event_id: str
    head: bytes
    body: bytes
    content: bytes
    """What the body means once it is unframed."""
    sound: bool
    """True: correct by RFC 9112, so it must be accepted, and the canary after it."""


def framed(random: Random, name: str, now: int) -> Framed:
    """A signed event, whose framing is sound about every second time."""
    sent = event(
        "onboarding.started", f"s-{name}", event_id=name, data={"x": "y" * random.choice([0, 50, 900])}
    )
    content = json.dumps(sent).encode()
    signed = "".join(f"{key}: {value}\r\n" for key, value in headers_for(KEY, name, content, now).items())
    fixed = b"Host: ops\r\nContent-Type: application/json\r\n" + signed.encode()
    line = b"POST %s HTTP/1.1" % INGRESS.encode()
    made = random.choice([_by_length, _by_chunks])(random, content)
    framing, body, sound = made
    if sound and random.random() < 0.35:
        sound = False
        if random.random() < 0.5:
            line = random.choice(ODD_LINES).replace(b"%s", INGRESS.encode())
        else:
            framing += random.choice(ODD_HEADERS) + b"\r\n"
    return Framed(name, line + b"\r\n" + fixed + framing + b"\r\n", body, content, sound)


def _by_length(random: Random, content: bytes) -> tuple[bytes, bytes, bool]:
    fault = random.random()
    right = b"Content-Length: %d\r\n" % len(content)
    if fault < 0.6:
        return right, content, True
    if fault < 0.7:
        wrong = max(0, len(content) + random.choice([-9, -1, 1, 9, 90]))
        return b"Content-Length: %d\r\n" % wrong, content, False
    if fault < 0.8:
        return b"Content-Length: " + random.choice(ODD_SIZES) + b"\r\n", content, False
    if fault < 0.9:
        return right + b"Content-Length: %d\r\n" % random.choice([len(content), 0, 1]), content, False
    # Both: whoever believes the length and whoever believes the chunks see different requests.
    return right + b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n" + content, False


def _by_chunks(random: Random, content: bytes) -> tuple[bytes, bytes, bool]:
    chunks = []
    while content:
        size = random.choice([1, 2, 17, 400, len(content)])
        chunks.append(content[:size])
        content = content[size:]
    spoiled = random.randrange(len(chunks)) if random.random() < 0.4 else None
    body = b"".join(
        _odd_chunk(random, chunk) if number == spoiled else _chunk(random, chunk)
        for number, chunk in enumerate(chunks)
    )
    sound = spoiled is None
    end = random.choice(
        [b"0\r\n\r\n", b"0\r\n\r\n", b"000\r\n\r\n", b"0;x=y\r\n\r\n", b"0\r\nX-Trailer: a\r\n\r\n"]
    )
    if sound and random.random() < 0.1:
        sound, end = (
            False,
            random.choice([b"", b"0", b"0\r\n", b"0\n\n", b"-0\r\n\r\n", b"0\r\nno colon\r\n\r\n"]),
        )
    return b"Transfer-Encoding: chunked\r\n", body + end, sound


def _chunk(random: Random, data: bytes) -> bytes:
    size = random.choice([b"%x", b"%X", b"00%x", b"%x;name=value", b'%x;a="b"']) % len(data)
    return size + b"\r\n" + data + b"\r\n"


def _odd_chunk(random: Random, data: bytes) -> bytes:
    size = b"%x" % len(data)
    return random.choice(
        [
            random.choice(ODD_SIZES) + b"\r\n" + data + b"\r\n",
            size + b"\n" + data + b"\n",
            size + b"\r\n" + data,
            size + b"\r\n" + data + b"xx",
            b"%x\r\n" % (len(data) + random.choice([1, 5])) + data + b"\r\n",
            b"%x\r\n" % max(0, len(data) - 1) + data + b"\r\n",
            size + b" \r\n" + data + b"\r\n",
            size + b";" + b"x" * 20_000 + b"\r\n" + data + b"\r\n",
        ]
    )


def answers(received: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """The answers that came over one connection: status, headers, body. Raises ValueError else."""
    found = []
    while received:
        head, separator, received = received.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        version, status, *_ = line.split(" ")
        if not separator or version != "HTTP/1.1":
            raise ValueError(f"no answer: {head!r}")
        if status == "100":
            continue
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
        length = int(headers.get("content-length", "0"))
        if len(received) < length:
            raise ValueError(f"an answer is cut short: {head!r} {received!r}")
        found.append((int(status), headers, received[:length]))
        received = received[length:]
    return found
