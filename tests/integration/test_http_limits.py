"""What a client may do to the server before, or instead of, sending a proper request."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from ops_service.http import server
from portal_hooks.signing import headers_for
from tests.running_ops import INGRESS, KEY, RunningOps, event, running_ops

PUBLIC = ("sign-in", "link", "link/redeem")
NOTES = "/api/v1/desk/tickets/1/notes"
CHUNKED = f"POST {INGRESS} HTTP/1.1\r\nHost: ops\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
HUGE_HEAD = b"GET /healthz HTTP/1.1\r\nX-Long: " + b"x" * (server.MAX_HEAD_BYTES + 1) + b"\r\n\r\n"


@pytest.fixture
def ops(sqlite_url: str) -> Iterator[RunningOps]:
    """HTTP's limits do not depend on the database."""
    with running_ops(sqlite_url) as running:
        yield running


def connect(ops: RunningOps) -> socket.socket:
    address = urlsplit(ops.url)
    assert address.hostname
    assert address.port
    return socket.create_connection((address.hostname, address.port), timeout=20)


def answer(connection: socket.socket) -> tuple[int, dict[str, object]]:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    head, _, content = received.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return int(head.split(b" ", 2)[1]), json.loads(content)


def head_of(ops: RunningOps, method: str, path: str) -> bytes:
    """The request's first lines, of one who may do it."""
    signed = headers_for(KEY, "e1", b"", int(time.time()))
    lines = {"Host": "ops", "Content-Type": "application/json", **ops.bearer("admin"), **signed}
    return "\r\n".join([f"{method} {path} HTTP/1.1", *map(": ".join, lines.items()), ""]).encode()


def received_until(connection: socket.socket, expected: bytes) -> bytes:
    received = b""
    while expected not in received:
        chunk = connection.recv(65536)
        assert chunk, received
        received += chunk
    return received


def signed_head(event_id: str, body: bytes, path: str = INGRESS) -> bytes:
    """The head of a delivery."""
    signed = headers_for(KEY, event_id, body, int(time.time())) | {"Content-Length": len(body)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
    return f"POST {path} HTTP/1.1\r\nHost: ops\r\nContent-Type: application/json\r\n{lines}\r\n".encode()


def test_endless_headers_are_cut_off(ops: RunningOps) -> None:
    with connect(ops) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: ops\r\nX-Long: ")
        sent = 0
        try:
            while sent < 50_000_000:
                sent += connection.send(b"x" * 65536)
        except OSError:
            pass
        assert sent < 10_000_000
    with connect(ops) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX-Long: " + b"x" * (server.MAX_HEAD_BYTES + 1))
        status, problem = answer(connection)
        assert (status, problem["status"]) == (431, 431)


def test_headers_that_trickle_are_given_up(ops: RunningOps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.5)
    with connect(ops) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHo")
        started = time.monotonic()
        assert answer(connection)[0] == 408
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("path", [INGRESS, *(f"/api/v1/auth/{name}" for name in PUBLIC), NOTES])
def test_a_body_that_trickles_is_given_up(
    ops: RunningOps, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    assert ops.send(event("onboarding.failed", "s1")).status_code == 201
    monkeypatch.setattr(server, "BODY_SECONDS", 0.5)
    with connect(ops) as connection:
        connection.sendall(head_of(ops, "POST", path) + b"Content-Length: 9\r\n\r\n{")
        started = time.monotonic()
        while time.monotonic() - started < 0.4:
            time.sleep(0.1)
            connection.sendall(b" ")
        assert answer(connection)[0] == 408
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("rest", [b"\r\n", b"Content-Length: 9\r\n\r\n{"], ids=["no body", "half a body"])
def test_a_stream_waits_for_no_body(ops: RunningOps, monkeypatch: pytest.MonkeyPatch, rest: bytes) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 2)
    with connect(ops) as connection:
        connection.sendall(head_of(ops, "GET", "/api/v1/stream") + rest)
        received_until(connection, b"resync")
        time.sleep(2.5)
        assert ops.send(event("onboarding.failed", "s1")).status_code == 201
        received_until(connection, b"s1")


def test_whose_body_is_whole_is_not_hurried(ops: RunningOps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.5)
    body = json.dumps(sent := event("domain.validated", "s1")).encode()
    with connect(ops) as connection:
        with ops.database.write():
            connection.sendall(signed_head(sent["event_id"], body) + body[:9])
            time.sleep(0.1)  # so that it is waited for
            connection.sendall(body[9:])
            time.sleep(0.8)
        assert received_until(connection, b"}").startswith(b"HTTP/1.1 201 ")
        connection.sendall(signed_head(sent["event_id"], body) + body)
        assert received_until(connection, b"}").startswith(b"HTTP/1.1 200 ")


def test_what_cannot_be_read_yet_is_not_late(ops: RunningOps, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a request that is being answered nothing is read: the rest waits in the sockets' buffers."""
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(server, "BODY_SECONDS", 0.3)
    one = json.dumps(sent := event("domain.validated", "s1")).encode()
    many = json.dumps(
        [event("domain.validated", f"s{n}", data={"x": "y" * 5_000}) for n in range(200)]
    ).encode()
    requests = signed_head(sent["event_id"], one) + one + signed_head("many", many, f"{INGRESS}/batch") + many
    with connect(ops) as connection:
        with ops.database.write():
            sending = threading.Thread(target=connection.sendall, args=(requests,))
            sending.start()
            time.sleep(1)
        received = received_until(connection, b"results")
        sending.join()
    assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"201", b"200"]


def test_an_upgrade_with_a_body_is_refused_as_such(ops: RunningOps) -> None:
    """As Java's client asks for HTTP/2 without TLS. The parser skips the body: signatures would not match."""
    body = json.dumps(sent := event("domain.validated", "s1")).encode()
    head = signed_head(sent["event_id"], body)
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
    with connect(ops) as connection:
        connection.sendall(head[:-2] + upgrade + body)
        status, problem = answer(connection)
    assert status == 400
    assert "without `Upgrade`" in str(problem["detail"])


def test_what_is_no_http_is_a_problem_too(ops: RunningOps) -> None:
    with connect(ops) as connection:
        connection.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert answer(connection)[0] == 400


@pytest.mark.parametrize("before", [1, 3])
@pytest.mark.parametrize("last", [b"\x16\x03\x01 nonsense\r\n\r\n", CHUNKED + b"no size\r\n", HUGE_HEAD])
def test_a_refusal_does_not_overtake_the_answers_before_it(ops: RunningOps, before: int, last: bytes) -> None:
    """Answers on one connection have no names: out of order, an event's would be taken for another's."""
    body = json.dumps(sent := event("domain.validated", "s1")).encode()
    with connect(ops) as connection:
        with ops.database.write():
            connection.sendall((signed_head(sent["event_id"], body) + body) * before + last)
            time.sleep(0.3)  # Until the refusal is due, while the event still waits for the lock.
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", received)]
    assert statuses[0] == 201
    assert statuses[1:-1] == [200] * (before - 1)
    assert statuses[-1] in (400, 431)


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_other_routes_bound_their_bodies_too(ops: RunningOps, framing: str) -> None:
    large = b'{"body":"' + b"x" * 200_000 + b'"}'
    content = large if framing == "length" else iter([large[:100_000], large[100_000:]])
    refused = ops.http.post(NOTES, content=content, headers={"content-type": "application/json"})
    assert refused.status_code == 413
    assert refused.headers["content-type"] == "application/problem+json"


def test_requests_on_one_connection_go_on(ops: RunningOps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    for _ in range(3):
        assert ops.get("/healthz") == {"status": "alive"}
        time.sleep(0.4)
