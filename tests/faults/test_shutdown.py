"""A service that is told to stop ends soon, with every accepted request answered; and none can swell it."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from ops_service.app import STOP_SECONDS
from ops_service.http.server import SHUTDOWN_SECONDS
from portal_hooks.contract import MAX_BATCH_BYTES, MAX_EVENT_BYTES
from portal_hooks.signing import headers_for
from projections.database.database import Database
from tests.faults.ops_process import OpsProcess, ops_process
from tests.faults.portal_load import audit, portals, wait_for
from tests.faults.restartable_postgres import RestartablePostgres
from tests.faults.stored_events import stored_ids
from tests.running_ops import INGRESS, KEY, event

# Slow machines: every test here starts a service, some more than one.
pytestmark = pytest.mark.timeout(300)

STOPPED_WITHIN = 15.0
HALF_SENT = ("nothing", "half a head", "half a body")


def test_sigterm_under_load_answers_all_that_was_accepted(database_url: str, tmp_path: Path) -> None:
    with ops_process(database_url, tmp_path) as ops:
        with portals(ops.url, gone_at_the_end=True) as ledger:
            wait_for(lambda: len(ledger.positions) > 200, 30, "acknowledgements")
            seconds, code = stop(ops)
        assert (code, seconds < STOPPED_WITHIN) == (0, True), (code, seconds)
        audit(database_url, ledger)
        # What is in the log was accepted: whoever sent it must have been told.
        assert stored_ids(database_url) == set(ledger.positions)


def test_sigterm_waits_for_a_commit_that_is_held_up(database_url: str, tmp_path: Path) -> None:
    with ops_process(database_url, tmp_path) as ops, ExitStack() as stack:
        senders = [stack.enter_context(closing(connected(ops))) for _ in range(32)]
        with Database(database_url) as database, database.write():
            for number, sender in enumerate(senders):
                post(sender, event("domain.validated", f"s{number}"))
            wait_for(lambda: not any(unread_bytes(ops)), 4, "every request being read")
            ops.ask_to_stop()
            time.sleep(0.5)
        answers = [sender.getresponse() for sender in senders]
        assert {answer.status for answer in answers} == {201}
        told = {json.loads(answer.read())["event_id"] for answer in answers}
        assert ops.exit_code() == 0
    assert stored_ids(database_url) == told


@pytest.mark.parametrize("sent", HALF_SENT)
def test_sigterm_does_not_wait_for_requests_that_never_come(
    sqlite_url: str, tmp_path: Path, sent: str
) -> None:
    with ops_process(sqlite_url, tmp_path) as ops, connection_to(ops) as connection:
        connection.sendall(half(sent))
        time.sleep(0.2)
        seconds, code = stop(ops)
        assert (code, seconds < STOPPED_WITHIN) == (0, True), (code, seconds)
        status, head = answer_on(connection)
        assert status in (0, 408, 503), head
        assert status == 0 or b"application/problem+json" in head
    assert "Traceback" not in ops.log.read_text()


def test_sigterm_does_not_wait_for_a_database_that_has_frozen(tmp_path: Path) -> None:
    with RestartablePostgres.running() as server, ops_process(server.url, tmp_path) as ops:
        assert ops.send(event("domain.validated", "s1")).status_code == 201
        with server.frozen(), closing(connected(ops)) as sender:
            post(sender, event("domain.validated", "s2"))
            wait_for(lambda: not any(unread_bytes(ops)), 4, "the request being read")
            seconds, code = stop(ops)
        assert (code, seconds < SHUTDOWN_SECONDS + STOP_SECONDS + 5) == (1, True), (code, seconds)
        assert "the database does not answer: ended without it" in ops.log.read_text()


def test_sigterm_does_not_wait_for_an_idle_connection(sqlite_url: str, tmp_path: Path) -> None:
    with ops_process(sqlite_url, tmp_path) as ops, httpx.Client(base_url=ops.url) as kept_alive:
        assert kept_alive.get("/healthz").status_code == 200
        seconds, code = stop(ops)
        assert (code, seconds < 5) == (0, True), (code, seconds)


@pytest.mark.parametrize(
    ("path", "limit"), [(INGRESS, MAX_EVENT_BYTES), (f"{INGRESS}/batch", MAX_BATCH_BYTES)]
)
def test_a_body_of_tiny_chunks_is_refused_at_the_limit_and_takes_no_more_memory(
    sqlite_url: str, tmp_path: Path, path: str, limit: int
) -> None:
    """A byte per chunk: six bytes on the wire, and for a careless reader an object in memory, for each."""
    with ops_process(sqlite_url, tmp_path) as ops:
        post_in_chunks(ops, path, 1000)
        before = ops.peak_memory()
        # The kernel takes some millions more than the service ever reads.
        endless = 4 * limit + 4_000_000
        status, sent = post_in_chunks(ops, path, endless)
        assert status == 413
        assert sent < endless
        assert ops.peak_memory() - before < 2 * limit + 4 * 1024 * 1024
        assert ops.send(event("domain.validated", "s1")).status_code == 201


def test_many_large_bodies_after_each_other_leave_nothing_behind(sqlite_url: str, tmp_path: Path) -> None:
    body = json.dumps([event("a", "s1", data={"x": "y" * 60_000}) for _ in range(60)]).encode()
    with ops_process(sqlite_url, tmp_path) as ops, httpx.Client(base_url=ops.url, timeout=30) as client:
        peaks = []
        for number in range(24):
            signed = headers_for(KEY, f"d{number}", body, int(time.time()))
            headers = {"content-type": "application/json", **signed}
            assert client.post(f"{INGRESS}/batch", content=body, headers=headers).status_code == 200
            peaks.append(ops.peak_memory())
        assert peaks[-1] - peaks[7] < 3 * len(body)


def half(sent: str) -> bytes:
    """The beginning of a delivery."""
    line = f"POST {INGRESS} HTTP/1.1\r\nHost: ops\r\n"
    named = {"content-type": "application/json", "content-length": "100", **claim()}
    head = line + "".join(f"{name}: {value}\r\n" for name, value in named.items()) + "\r\n"
    return {"nothing": "", "half a head": f"{line}Content-", "half a body": head + "{"}[sent].encode()


def claim() -> dict[str, str]:
    """Headers of a signed delivery; the service reads a body behind them, whatever it turns out to be."""
    return headers_for(KEY, "d1", b"something else", int(time.time()))


def stop(ops: OpsProcess) -> tuple[float, int]:
    """Ask it to stop; how long it took, and the exit code."""
    began = time.monotonic()
    ops.ask_to_stop()
    code = ops.exit_code()
    return time.monotonic() - began, code


def connected(ops: OpsProcess) -> HTTPConnection:
    address = urlsplit(ops.url)
    sender = HTTPConnection(address.hostname or "", address.port, timeout=30)
    sender.connect()
    return sender


def post(sender: HTTPConnection, value: dict[str, Any]) -> None:
    """Send one event whole; the answer is left for later."""
    body = json.dumps(value).encode()
    signed = headers_for(KEY, value["event_id"], body, int(time.time()))
    sender.request("POST", INGRESS, body, {"Content-Type": "application/json", **signed})


def unread_bytes(ops: OpsProcess) -> list[int]:
    """Of each connection to the service, how much waits to be read by it."""
    established, port = "01", f":{urlsplit(ops.url).port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [
        int(queues.split(":")[1], 16)
        for _, local, _, state, queues, *_ in rows
        if local.endswith(port) and state == established
    ]


@contextmanager
def connection_to(ops: OpsProcess) -> Iterator[socket.socket]:
    address = urlsplit(ops.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as connection:
        yield connection


def post_in_chunks(ops: OpsProcess, path: str, size: int) -> tuple[int, int]:
    """Send up to `size` bytes, a chunk each; the answer's status and how many were sent before it ended."""
    chunks = b"1\r\nx\r\n" * 1000
    sent = 0
    with connection_to(ops) as connection:
        named = {"content-type": "application/json", "transfer-encoding": "chunked", **claim()}
        fields = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: ops\r\n{fields}\r\n".encode())
        with suppress(ConnectionError):
            while sent < size:
                connection.sendall(chunks)
                sent += 1000
            connection.sendall(b"0\r\n\r\n")
        return answer_on(connection)[0], sent


def answer_on(connection: socket.socket) -> tuple[int, bytes]:
    """The status and all that came; 0 when the connection was closed without an answer."""
    received = b""
    with suppress(ConnectionError):
        while more := connection.recv(65536):
            received += more
    return int(received.split(b" ", 2)[1]) if received else 0, received
