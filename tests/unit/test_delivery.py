"""Deliveries over real HTTP, the time the test's own: what is sent, in which order, what counts as taken."""

import random
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from portal_hooks.delivery.breaker import TRIPS_AFTER, Condition
from portal_hooks.delivery.threads import sender_lock
from tests.servers.process import free_port
from tests.servers.webhook_receiver import Answer, Receiver
from tests.unit.stepped_portal import HOUR, SteppedPortal, ids_of


def test_a_backlog_goes_out_in_batches_of_up_to_500(stepped: SteppedPortal, receiver: Receiver) -> None:
    ids = stepped.emit("s1", 1_201)
    stepped.drain()
    assert ids_of(receiver.accepted) == ids
    assert [len(request) for request in receiver.requests] == [500, 500, 201]


def test_a_batch_keeps_below_what_one_request_may_hold(stepped: SteppedPortal, receiver: Receiver) -> None:
    ids = stepped.emit("s1", 100, text="x" * 60_000)
    stepped.drain()
    assert ids_of(receiver.accepted) == ids
    assert [len(request) for request in receiver.requests] == [69, 31]


def test_a_day_without_ops_loses_nothing(receiver: Receiver, tmp_path: Path) -> None:
    """24 hours, half of them nobody listening, half 503; two events a minute come all the while."""
    stepped = SteppedPortal(tmp_path, f"http://127.0.0.1:{free_port()}/hook")
    emitted = []
    for minute in range(24 * 60):
        if minute == 12 * 60:
            stepped.url = receiver.url
            receiver.date = receiver.signed_at = stepped.clock
            receiver.judge = lambda _: Answer(503)
            stepped.restart()
        emitted += stepped.emit(f"s{minute % 7}", 2)
        stepped.run(60 - 0.003)
    probes = stepped.delivery.counts["retries"]
    assert probes <= 12 * HOUR / stepped.pace.open_interval + TRIPS_AFTER
    assert receiver.accepted == []
    receiver.judge = lambda _: None
    stepped.run(2 * stepped.pace.open_interval)
    assert ids_of(receiver.accepted) == emitted
    assert stepped.state.condition is Condition.OK
    assert stepped.dead() == {}
    stepped.delivery.close()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Please log in</html>",
        b"{}",
        b'{"results": null}',
        b'{"results": []}',
        b'{"results": [{"event_id": "other", "status": "created"}]}',
        b'{"results": [{"status": "created"}]}',
        b'{"results": [{"event_id": null, "status": "maybe"}]}',
        b'{"results": [7]}',
        b'{"results":' + b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_success_that_does_not_name_the_events_is_none(
    stepped: SteppedPortal, receiver: Receiver, body: bytes
) -> None:
    receiver.answers.append(Answer(200, body=body))
    ids = stepped.emit("s1")
    stepped.drain()
    assert stepped.state.condition is Condition.BACKING_OFF
    stepped.run(1)
    assert ids_of(receiver.attempts) == ids * 2
    assert (ids_of(receiver.accepted), stepped.dead()) == (ids, {})


@pytest.mark.parametrize("status", [204, 302, 404, 418, 502])
def test_any_other_answer_is_tried_again(stepped: SteppedPortal, receiver: Receiver, status: int) -> None:
    receiver.answers.append(Answer(status, {"location": "http://127.0.0.1:9/"}, b""))
    ids = stepped.emit("s1")
    stepped.run(1)
    assert ids_of(receiver.accepted) == ids


@pytest.mark.parametrize(
    ("location", "address"),
    [
        ("https://ops.example/api/v1/webhooks/onboard/batch", "https://ops.example/api/v1/webhooks/onboard"),
        ("/login", "http://127.0.0.1:{port}/login"),
        ("https://ops.example/" + "x" * 300, "https://ops.example/" + "x" * 180),
    ],
)
def test_a_redirect_is_not_followed_but_told(
    stepped: SteppedPortal, receiver: Receiver, location: str, address: str
) -> None:
    receiver.judge = lambda _: Answer(301, {"location": location}, b"")
    stepped.emit("s1")
    stepped.drain()
    assert receiver.accepted == []
    address = address.format(port=urlsplit(receiver.url).port)
    assert stepped.state.reason == (
        f"HTTP 301: redirected, set OPS_WEBHOOK_URL to {address} if that is Ops' address"
    )


def test_an_answer_without_end_is_cut_off(
    stepped: SteppedPortal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal_hooks.delivery.client.MAX_ANSWER_BYTES", 10_000)
    receiver.answers.append(Answer(200, body=b"x" * 20_000))
    stepped.emit("s1")
    stepped.drain()
    assert "longer than" in (stepped.state.reason or "")


def test_order_per_session_survives_failures_restarts_and_poison(
    stepped: SteppedPortal, receiver: Receiver
) -> None:
    """A fifth of all requests fails, in every way; the sender restarts now and then."""
    chance = random.Random(20261122)
    kinds = [Answer(500), Answer(503), Answer(502), Answer(429, {"retry-after": "1"}), Answer(200, body=b"?")]
    receiver.judge = lambda _: chance.choice(kinds) if chance.random() < 0.2 else None
    sessions: dict[str, list[str]] = {f"s{number}": [] for number in range(20)}
    for turn in range(300):
        session = chance.choice(list(sessions))
        sessions[session] += stepped.emit(session, chance.randint(1, 5))
        stepped.run(chance.random() * 2)
        if turn % 50 == 49:
            stepped.restart()
    stepped.run(HOUR)
    for session, ids in sessions.items():
        assert list(dict.fromkeys(ids_of(receiver.of(session)))) == ids
    assert stepped.dead() == {}


def test_only_one_process_at_a_time_may_send(tmp_path: Path) -> None:
    first, second = sender_lock(tmp_path), sender_lock(tmp_path)
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()
