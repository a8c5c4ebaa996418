"""What signed and unsigned deliveries may cost the service, and each other."""

import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from ops_service.ingress import body, receiver
from ops_service.ingress.deliveries import read_batch
from ops_service.ingress.receiver import READ_AT_ONCE_BYTES
from ops_service.rejected import keeping
from portal_hooks.contract import MAX_EVENT_BYTES
from tests.running_ops import INGRESS, OTHER_KEY, RunningOps, event, running_ops


def test_while_a_large_body_is_read_the_service_answers(
    ops: RunningOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, go_on = threading.Event(), threading.Event()

    def slowly(*arguments: object) -> object:
        reading.set()
        assert go_on.wait(60)
        return read_batch(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(receiver, "read_batch", slowly)
    large = event("onboarding.started", "large", data={"text": "x" * 50_000})
    batch = [{**large, "event_id": f"large-{number}"} for number in range(3)]
    assert len(json.dumps(batch)) > READ_AT_ONCE_BYTES
    with ThreadPoolExecutor(1) as sender:
        answer = sender.submit(ops.send_batch, batch)
        try:
            assert reading.wait(60)
            assert ops.send(event("onboarding.started", "small")).status_code == 201
        finally:
            go_on.set()
        assert answer.result().status_code == 200


def head(changes: dict[str, str | None], length: int, path: str = INGRESS) -> bytes:
    """A delivery's head with a signature of the right form, but of nothing. None leaves a header out."""
    usual = {
        "Host": "ops",
        "Content-Type": "application/json",
        "Content-Length": str(length),
        "webhook-id": "e1",
        "webhook-timestamp": str(int(time.time())),
        "webhook-signature": "v1," + "A" * 43 + "=",
    }
    lines = "".join(
        f"{name}: {value}\r\n" for name, value in {**usual, **changes}.items() if value is not None
    )
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode()


def connected(ops: RunningOps) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urlsplit(ops.url).port or 0), timeout=20)


def answer_on(connection: socket.socket) -> tuple[int, dict[bytes, bytes], bytes]:
    with connection.makefile("rb") as received:
        status = int(received.readline().split()[1])
        lines = iter(received.readline, b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        return status, headers, received.read(int(headers[b"content-length"]))


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-id": None},
        {"webhook-timestamp": None},
        {"webhook-signature": None},
        {"webhook-id": "a.b"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "1000000000"},
        {"webhook-signature": "v1,short"},
        {"webhook-signature": "v2," + "A" * 43 + "="},
        {"webhook-signature": " ".join(["v1," + "A" * 43 + "="] * 9)},
    ],
)
def test_headers_that_cannot_be_right_are_refused_before_a_body_comes(
    ops: RunningOps, changes: dict[str, str | None]
) -> None:
    with connected(ops) as early, connected(ops) as late:
        early.sendall(head(changes, 4_000_000, f"{INGRESS}/batch"))
        status, headers, told = answer_on(early)
        late.sendall(head({}, 2) + b"{}")
        assert (status, headers[b"connection"]) == (401, b"close")
        refused = answer_on(late)
        assert (refused[0], refused[2]) == (status, told)


def test_the_bodies_of_all_deliveries_together_are_bounded(
    ops: RunningOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "ROOM_BYTES", 400_000)
    monkeypatch.setattr(body, "ROOM_FOR_LARGE_BYTES", 300_000)
    room = ops.app.state.receiver.room
    large = [event("onboarding.started", "s", data={"text": "x" * 50_000}) for _ in range(4)]
    with connected(ops) as held_back:
        held_back.sendall(head({}, 4_000_000, f"{INGRESS}/batch") + b"x" * 200_000)
        wait_until(lambda: room.held == 200_000)
        refused = ops.send_batch(large)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        assert ops.send(event("onboarding.started", "s", data={"text": "x" * 50_000})).status_code == 201
    wait_until(lambda: room.held == 0)
    assert ops.send_batch(large).status_code == 200


def test_refused_items_count_for_the_rate_limit(sqlite_url: str) -> None:
    with running_ops(sqlite_url, max_events_per_second=20) as ops:
        assert ops.send_batch([7] * 500).status_code == 207
        refused = ops.send_batch([7])
        assert refused.status_code == 429
        assert 20 <= int(refused.headers["retry-after"]) <= 25
        assert ops.send(event("!", "s")).status_code == 429
        assert ops.send_batch([7], key=OTHER_KEY).status_code == 207


def test_what_cannot_be_read_counts_by_its_size(sqlite_url: str) -> None:
    with running_ops(sqlite_url, max_events_per_second=1) as ops:
        unreadable = b"[" * (64 * MAX_EVENT_BYTES)
        assert ops.send_bytes(unreadable, "d", path=f"{INGRESS}/batch").status_code == 400
        refused = ops.send_bytes(b"[", "d", path=f"{INGRESS}/batch")
        assert refused.status_code == 429
        assert 50 <= int(refused.headers["retry-after"]) <= 64


def test_each_source_keeps_its_newest_refusals(ops: RunningOps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "KEPT_ROWS", 3)
    assert ops.send_batch(["quiet"], key=OTHER_KEY).status_code == 207
    for number in range(4):
        assert ops.send_batch([number, -number]).status_code == 207
    listed = ops.get("/api/v1/rejected-deliveries")
    assert [each["body"] for each in listed["rejected"]] == ["-3", "3", "-2", '"quiet"']


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)
