"""Connections are bounded, and whoever does not read loses theirs: an idle attacker takes nothing away."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_network

import pytest

from ops_service.http import connections
from ops_service.http.connections import Connections, Limits
from tests.running_ops import RunningOps, event, running_ops

GET = b"GET /openapi.json HTTP/1.1\r\nHost: ops\r\n\r\n"


class Peer:
    """Stands for a connection's protocol."""

    transport = asyncio.Transport()


class Full(asyncio.Transport):
    """Its buffer is always full."""

    is_aborted = False

    def get_write_buffer_size(self) -> int:
        return 64 * 1024

    def abort(self) -> None:
        self.is_aborted = True


@pytest.fixture
def ops(sqlite_url: str) -> Iterator[RunningOps]:
    with running_ops(sqlite_url, max_connections_of_one=20) as running:
        yield running


def connect(ops: RunningOps) -> socket.socket:
    host, port = ops.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def asks_and_is_cut(peer: socket.socket) -> bool:
    """Asks for more, as far as that fits; true once the service has given the connection up."""
    peer.setblocking(False)
    try:
        peer.send(GET * 20)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        peer.setblocking(True)
    return False


def test_a_peer_that_asks_and_never_reads_is_cut(
    ops: RunningOps, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.1)
    monkeypatch.setattr(connections, "UNREAD_SECONDS", 1)
    with connect(ops) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deadline = time.monotonic() + 30
        while not asks_and_is_cut(peer) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert time.monotonic() < deadline, "the connection is still open"
    assert ops.get("/healthz")
    assert not [record for record in caplog.records if record.exc_info], caplog.text


def test_a_long_answer_that_is_read_steadily_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read of it is written anew at once: the buffer looks the same at each sweep."""
    monkeypatch.setattr(connections, "UNREAD_SECONDS", 0)

    async def sweeps() -> list[bool]:
        known, peer = Connections(Limits(in_all=8, of_one=8)), Peer()
        full = peer.transport = Full()
        known.admit(peer, "10.0.0.1")
        seen = []
        for has_read in (True, True, True, False, False):
            known._abort_unread()
            seen.append(full.is_aborted)
            if has_read:
                known.note_reading(peer)
        return seen

    assert asyncio.run(sweeps()) == [False, False, False, False, True]


def test_one_address_has_so_many_connections_and_no_more(ops: RunningOps) -> None:
    with ExitStack() as open_ones:
        mine = [open_ones.enter_context(connect(ops)) for _ in range(21)]
        answer = mine[-1].recv(4096)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after" in answer
        assert b"application/problem+json" in answer
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:  # those that were closed are noticed one after the other
        with connect(ops) as peer:
            peer.sendall(GET.replace(b"/openapi.json", b"/healthz"))
            if peer.recv(4096).startswith(b"HTTP/1.1 200 "):
                return
    pytest.fail("closed connections were not given back")


def test_room_is_kept_for_who_has_delivered() -> None:
    async def crowd() -> list[bool]:
        known = Connections(Limits(in_all=16, of_one=4))
        crowd = [known.admit(Peer(), f"10.0.0.{number % 8}") for number in range(20)]
        stranger = known.admit(Peer(), "10.0.0.9")
        known.note_sender("10.0.0.9")
        return [crowd.count(True) == 14, stranger, known.admit(Peer(), "10.0.0.9")]

    assert asyncio.run(crowd()) == [True, False, True]


def test_a_proxy_is_not_one_caller() -> None:
    async def crowd() -> list[bool]:
        known = Connections(Limits(in_all=16, of_one=2), [ip_network("10.0.0.0/24")])
        return [known.admit(Peer(), address) for address in ["10.0.0.1"] * 3 + ["10.0.1.1"] * 3]

    assert asyncio.run(crowd()) == [True, True, True, True, True, False]


def test_a_signed_delivery_makes_its_address_a_sender(ops: RunningOps) -> None:
    noted: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connections, "note_sender", lambda _self, address: noted.append(address))
        assert ops.send(event("onboarding.started", "s1"), key=b"w" * 32).status_code == 401
        assert ops.send(event("onboarding.started", "s1")).status_code == 201
    assert noted == ["127.0.0.1"]
