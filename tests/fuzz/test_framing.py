"""Requests as bytes on real sockets: whatever the framing, an event is stored if and only if 201 was said."""

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from random import Random
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from ops_service.http import server
from portal_hooks.signing import headers_for
from projections.database.tables import webhook_events
from tests import running_ops as service
from tests.fuzz.budget import TIMEOUT_SECONDS, share
from tests.fuzz.framing import CANARY, Framed, answers, framed
from tests.running_ops import INGRESS, KEY, RunningOps, event, running_ops

BURST = 200
ALLOWED = {200, 201, 400, 401, 404, 405, 408, 413, 415, 422, 431}
EVENT = webhook_events.c


@pytest.fixture
def ops(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningOps]:
    """A real service that soon gives up waiting; framing does not depend on the database."""
    monkeypatch.setattr(server, "HEAD_SECONDS", 1)
    monkeypatch.setattr(server, "BODY_SECONDS", 1)
    monkeypatch.setattr(service, "options", lambda: {**server.options(), "timeout_keep_alive": 1})
    with running_ops(sqlite_url) as running:
        yield running


async def exchange(ops: RunningOps, sent: bytes) -> bytes:
    """All that comes back until the service closes the connection."""
    address = urlsplit(ops.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    received = bytearray()
    try:
        async with asyncio.timeout(20):
            writer.write(sent)
            while chunk := await reader.read(65_536):
                received += chunk
    except ConnectionError:
        pass  # closed while there was more to say; what was answered before counts
    finally:
        writer.close()
    return bytes(received)


def stored(ops: RunningOps) -> dict[str, str]:
    with ops.database.read() as connection:
        rows = connection.execute(select(EVENT.event_id, EVENT.payload)).all()
    return {row.event_id: row.payload for row in rows}


def judge(sent: Framed, received: bytes) -> list[int]:
    """The statuses of the answers, each of them well formed."""
    found = answers(received)
    for status, headers, body in found:
        assert status in ALLOWED, (status, sent)
        if status >= 400:
            assert headers["content-type"] == "application/problem+json", (headers, sent)
            assert json.loads(body)["status"] == status
    statuses = [status for status, _, _ in found]
    assert len(statuses) <= 2, (statuses, sent)
    if sent.sound:
        assert statuses == [201, 200], (statuses, sent)
    return statuses


@pytest.mark.timeout(TIMEOUT_SECONDS)
def test_an_event_is_stored_if_and_only_if_201_was_said(ops: RunningOps) -> None:
    created: dict[str, bytes] = {}
    seen: Counter[tuple[int, ...]] = Counter()
    bursts = count()

    async def burst(requests: list[Framed]) -> list[bytes]:
        return await asyncio.gather(*(exchange(ops, each.head + each.body + CANARY) for each in requests))

    # Seeds do not shrink; a failure names its request and its seed is tried first the next time.
    @settings(
        max_examples=share(15, least=3),
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**64 - 1))
    def many_bursts(seed: int) -> None:
        random, now = Random(seed), int(time.time())
        # The same seed may come again, at another time: its events are others then.
        name = f"{seed:x}-{next(bursts)}"
        requests = [framed(random, f"{name}-{number}", now) for number in range(BURST)]
        for sent, received in zip(requests, asyncio.run(burst(requests)), strict=True):
            statuses = judge(sent, received)
            seen[tuple(statuses)] += 1
            if 201 in statuses:
                created[sent.event_id] = sent.content

    many_bursts()
    log = stored(ops)
    assert log.keys() == created.keys()
    assert all(json.loads(log[event_id]) == json.loads(content) for event_id, content in created.items())
    assert seen[201, 200] > seen.total() / 4
    assert sum(count for statuses, count in seen.items() if statuses[:1] == (400,)) > seen.total() / 20
    print(f"{seen.total()} connections, {len(created)} events stored: {seen.most_common()}")


def connect(ops: RunningOps) -> socket.socket:
    address = urlsplit(ops.url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=10)


def push(connection: socket.socket, unit: bytes, limit: int = 20_000_000) -> int:
    """Send `unit` again and again until the service has had enough; the bytes it took."""
    sent = 0
    with suppress(OSError):
        while sent < limit:
            sent += connection.send(unit)
    return sent


CHUNKED = "Host: ops\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("target", ["GET /healthz", f"POST {INGRESS}"])
@pytest.mark.parametrize("unit", [b"A: b\r\n" * 5_000, b"x" * 50_000], ids=["many", "one"])
def test_trailers_are_bounded(ops: RunningOps, target: str, unit: bytes) -> None:
    with connect(ops) as connection:
        start = "" if unit.startswith(b"A") else "X: "
        connection.sendall(f"{target} HTTP/1.1\r\n{CHUNKED}0\r\n{start}".encode())
        assert push(connection, unit) < 10_000_000


def test_a_chunk_s_extension_is_bounded(ops: RunningOps) -> None:
    with connect(ops) as connection:
        connection.sendall(f"POST {INGRESS} HTTP/1.1\r\n{CHUNKED}1;".encode())
        assert push(connection, b"x" * 50_000) < 10_000_000


def test_a_head_that_comes_in_one_piece_is_bounded_too(ops: RunningOps) -> None:
    for many in (1, server.MAX_HEAD_BYTES // 16):
        long = {f"x{number}": "x" * (server.MAX_HEAD_BYTES // many) for number in range(many)}
        check_head_refused(ops, INGRESS, long)
    check_head_refused(ops, f"{INGRESS}?{'x' * server.MAX_HEAD_BYTES}", {})


def check_head_refused(ops: RunningOps, path: str, headers: dict[str, str]) -> None:
    sent = event("onboarding.started", "s1")
    answer = ops.send_bytes(json.dumps(sent).encode(), sent["event_id"], path=path, headers=headers)
    assert answer.status_code == 431
    assert answer.headers["content-type"] == "application/problem+json"
    assert stored(ops) == {}


def test_trailers_are_no_headers(ops: RunningOps) -> None:
    content = json.dumps(event("onboarding.started", "s1", event_id="e1")).encode()
    signed = headers_for(KEY, "e1", content, int(time.time()))
    trailers = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
    head = f"POST {INGRESS} HTTP/1.1\r\nConnection: close\r\n{CHUNKED}{len(content):x}\r\n"
    sent = head.encode() + content + f"\r\n0\r\n{trailers}\r\n".encode()
    assert [status for status, _, _ in answers(asyncio.run(exchange(ops, sent)))] == [401]
    assert stored(ops) == {}


@pytest.mark.parametrize("rest", [b"\r\n", b"x"], ids=["blank-line", "unread-body"])
def test_a_connection_that_only_trickles_is_given_up(ops: RunningOps, rest: bytes) -> None:
    with connect(ops) as connection:
        length = 100 if rest == b"x" else 0
        connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: ops\r\nContent-Length: {length}\r\n\r\n".encode())
        received = b""
        while b"alive" not in received:
            received += connection.recv(65_536)
        connection.sendall(rest)
        assert connection.recv(65_536) == b""
