"""The live stream through restarts and over several workers: nothing is lost, nothing is told twice."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.ops_process import OpsProcess, new_token, ops_process
from tests.faults.portal_load import portals, wait_for
from tests.faults.restartable_postgres import RestartablePostgres
from tests.faults.stored_events import stored_ids
from tests.live_listener import PATH, Listener, wait_until
from tests.running_ops import event
from tests.servers.process import free_port

pytestmark = pytest.mark.timeout(300)

STOPPED_WITHIN = 8.0
"""Far below the time after which uvicorn gives up waiting, were it to wait."""


@contextmanager
def listeners(url: str, token: str, number: int) -> Iterator[list[Listener]]:
    """That many clients which have heard nothing yet, all connected."""
    with ExitStack() as stack:
        clients = []
        for _ in range(number):
            client = Listener(url, token, "0")
            stack.callback(client.close)
            clients.append(client)
        wait_until(lambda: all(client.connections for client in clients))
        yield clients


def heard_everything(database_url: str, clients: list[Listener]) -> None:
    """Every client has every event of the log once, in the log's order."""
    stored = stored_ids(database_url)
    assert len(stored) > 50
    for client in clients:
        wait_until(lambda client=client: len(client.positions) >= len(stored))  # type: ignore[misc]
    time.sleep(0.3)
    for client in clients:
        assert client.positions == sorted(set(client.positions))
        assert {told.data["event_id"] for told in client.of("event")} == stored


def test_every_worker_tells_what_any_of_them_wrote(database_url: str, tmp_path: Path) -> None:
    with (
        ops_process(database_url, tmp_path, workers=2) as ops,
        listeners(ops.url, ops.token, 12) as clients,
    ):
        with portals(ops.url) as ledger:
            wait_for(lambda: len(ledger.positions) > 200, 30, "acknowledgements")
        heard_everything(database_url, clients)
        seconds = stop(ops)
    assert seconds < STOPPED_WITHIN, seconds
    assert "Traceback" not in ops.log.read_text()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_restart_of_the_service_loses_nothing(database_url: str, tmp_path: Path, how: str) -> None:
    token, port = new_token(database_url), free_port()
    with ExitStack() as stack:
        ops = stack.enter_context(ops_process(database_url, tmp_path, port=port, token=token))
        clients = stack.enter_context(listeners(ops.url, token, 5))
        with portals(ops.url, 4) as ledger:
            for restart in (1, 2, 3):
                wait_for(lambda n=restart: len(ledger.positions) > 50 * n, 60, "acknowledgements")
                for client in clients:
                    wait_until(lambda client=client, n=restart: client.connections >= n)  # type: ignore[misc]
                if how == "stopped":
                    stop(ops)
                else:
                    ops.kill()
                ops = stack.enter_context(ops_process(database_url, tmp_path, port=port, token=token))
            wait_for(lambda: len(ledger.positions) > 200, 60, "acknowledgements")
        heard_everything(database_url, clients)
        assert all(client.connections > 3 for client in clients)


def test_a_restart_of_postgresql_loses_nothing_and_cuts_no_stream(tmp_path: Path) -> None:
    with (
        RestartablePostgres.running() as postgres,
        ops_process(postgres.url, tmp_path) as ops,
        listeners(ops.url, ops.token, 3) as clients,
    ):
        for stop_it in (postgres.stop_fast, postgres.stop_at_once):
            send_some(ops)
            stop_it()
            postgres.start()
            wait_for(lambda: ops.get("/readyz").status_code == 200, 30, "the service being ready")
        send_some(ops)
        heard_everything(postgres.url, clients)
        assert [client.connections for client in clients] == [1, 1, 1]


def send_some(ops: OpsProcess) -> None:
    for number in range(30):
        assert ops.send(event("domain.validated", f"s{number}")).status_code == 201


def test_a_client_that_does_not_read_holds_nothing_up(sqlite_url: str, tmp_path: Path) -> None:
    with ops_process(sqlite_url, tmp_path) as ops:
        before = ops.peak_memory()
        deaf = [connected_deaf(ops) for _ in range(20)]
        with listeners(ops.url, ops.token, 1) as clients:
            with portals(ops.url) as ledger:
                wait_for(lambda: len(ledger.positions) > 3_000, 60, "acknowledgements")
            heard_everything(sqlite_url, clients)
        assert ops.peak_memory() - before < 60 * 1024 * 1024
        assert stop(ops) < STOPPED_WITHIN
        for client in deaf:
            client.close()
    assert "Traceback" not in ops.log.read_text()


def connected_deaf(ops: OpsProcess) -> socket.socket:
    """A client that asks for everything and then reads nothing."""
    address = urlsplit(ops.url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((address.hostname, address.port))
    client.sendall(
        f"GET {PATH}?after=0 HTTP/1.1\r\nHost: ops\r\nAuthorization: Bearer {ops.token}\r\n\r\n".encode()
    )
    return client


def stop(ops: OpsProcess) -> float:
    """Ask the service to stop; returns the seconds it took."""
    began = time.monotonic()
    ops.ask_to_stop()
    assert ops.exit_code() == 0
    return time.monotonic() - began
