"""Who may speak to the ingress at all: judged by address, before a byte of the body is read."""

import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from projections.database.tables import rejected_deliveries, webhook_events
from tests.running_ops import INGRESS, RunningOps, event, running_ops

PROXY = "127.0.0.1/32"
INSIDE = "10.7.0.0/16"


def rows(ops: RunningOps) -> int:
    with ops.database.read() as connection:
        counts = [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (webhook_events, rejected_deliveries)
        ]
    return sum(counts)


@pytest.fixture
def behind_proxy(sqlite_url: str) -> Iterator[RunningOps]:
    """Tests come from 127.0.0.1, here a trusted proxy; callers are wanted from INSIDE only."""
    with running_ops(sqlite_url, trusted_proxies=f"{PROXY},10.8.0.1", allowed_networks=INSIDE) as running:
        yield running


@pytest.fixture
def elsewhere(sqlite_url: str) -> Iterator[RunningOps]:
    """A service for which 127.0.0.1 is a stranger."""
    with running_ops(sqlite_url, allowed_networks=INSIDE) as running:
        yield running


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("10.7.1.2", 201),
        ("203.0.113.9", 403),
        ("203.0.113.9, 10.7.1.2", 201),  # what the nearest proxy saw counts
        ("10.7.1.2, 203.0.113.9", 403),  # anyone may write the leftmost
        ("10.7.1.2, 203.0.113.9, 10.8.0.1", 403),  # the second proxy is skipped, not believed blindly
        ("203.0.113.9, 10.7.1.2, 10.8.0.1", 201),
        ("10.7.1.2, junk", 403),
        ("junk, 10.7.1.2", 201),
        ("10.7.1.2,", 403),
        ("::ffff:10.7.1.2", 201),
        ("10.7.1.2:4711", 201),
        ("\xff", 403),
    ],
)
def test_of_forwarded_addresses_the_rightmost_untrusted_counts(
    behind_proxy: RunningOps, forwarded: str, status: int
) -> None:
    header = {"X-Forwarded-For": forwarded.encode("latin-1")}
    assert behind_proxy.send(event("a", "s"), headers=header).status_code == status


@pytest.mark.parametrize(
    ("first", "second", "status"), [("10.7.1.2", "203.0.113.9", 403), ("x", "10.7.1.2", 401)]
)
def test_several_forwarded_headers_are_one_list(
    behind_proxy: RunningOps, first: str, second: str, status: int
) -> None:
    lines = f"X-Forwarded-For: {first}\r\nX-Forwarded-For: {second}\r\nContent-Length: 2\r\n"
    # 401: the address was let in, and then the signature was missed.
    assert answer_to_head(behind_proxy, lines, b"{}") == status


def test_a_proxy_that_names_nobody_speaks_for_itself(behind_proxy: RunningOps) -> None:
    assert behind_proxy.send(event("a", "s")).status_code == 403


def test_without_trusted_proxies_the_header_is_nothing(elsewhere: RunningOps) -> None:
    answer = elsewhere.send(event("a", "s"), headers={"X-Forwarded-For": "10.7.1.2"})
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert rows(elsewhere) == 0


def test_by_default_loopback_is_let_in(sqlite_url: str) -> None:
    with running_ops(sqlite_url) as ops:
        assert ops.send(event("a", "s"), headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 201


@pytest.mark.parametrize("path", [INGRESS, f"{INGRESS}/batch"])
@pytest.mark.parametrize("framing", ["Content-Length: 9000", "Transfer-Encoding: chunked"])
def test_a_stranger_is_refused_before_the_body_is_read(
    elsewhere: RunningOps, path: str, framing: str
) -> None:
    began = time.monotonic()
    # Nothing of the body is ever sent: an answer means that nobody waited for it.
    assert answer_to_head(elsewhere, f"{framing}\r\n", path=path) == 403
    assert time.monotonic() - began < 5
    assert rows(elsewhere) == 0


def test_a_stranger_learns_nothing_of_what_else_is_wrong(elsewhere: RunningOps) -> None:
    for body, media_type in (
        (b"{", "application/json"),
        (b"", "text/plain"),
        (b"x" * 100_000, "application/json"),
    ):
        answer = elsewhere.send_bytes(body, "e1", media_type=media_type)
        assert answer.status_code == 403
    assert elsewhere.http.options(INGRESS).status_code == 403
    assert rows(elsewhere) == 0


def answer_to_head(ops: RunningOps, lines: str, body: bytes = b"", path: str = INGRESS) -> int:
    """The status of the answer to a request of which no more than this is sent; the connection then ends."""
    address = urlsplit(ops.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: ops\r\nContent-Type: application/json\r\n{lines}"
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return int(received.split(b" ", 2)[1])
