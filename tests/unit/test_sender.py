"""Deliveries over real HTTP with a clock of the test's own: what is sent when, what each answer leads to."""

from __future__ import annotations

import itertools
import json
import logging
import random
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from portal_hooks.dead_letters import DeadLetters
from portal_hooks.delivery import Delivery
from portal_hooks.endpoint import TRIPS_AFTER, Condition, EndpointState, Pace, ask_to_retry
from portal_hooks.event_encoding import encode_event
from portal_hooks.sender import SenderLock
from portal_hooks.signing import parse_secret
from portal_hooks.spool import Spool
from portal_hooks.transport import Transport
from tests.servers.process import free_port
from tests.servers.webhook_receiver import SECRET, Answer, Event, Receiver, receiving

START = 1_780_920_000.0
HOUR = 3600.0


class Portal:
    """A spool and its delivery, stepped by hand; time passes only here."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.now = START
        self.pace = Pace()
        self.age_limit = 30 * HOUR
        self.key = parse_secret(SECRET)
        self.spool = Spool(folder, clock=lambda: self.now)
        self.delivery = self._begin()

    def restart(self) -> None:
        """Another process goes on."""
        self.delivery.close()
        self.spool.close()
        self.delivery = self._begin()

    def emit(self, session_id: str, count: int = 1, **data: Any) -> list[str]:
        """Events a millisecond apart; their ids."""
        ids = []
        for _ in range(count):
            self.now += 0.001
            event = encode_event("a.b", session_id, data=data)
            self.spool.append(event.event_id, event.session_id, event.body)
            ids.append(event.event_id)
        self.now += 0.001
        return ids

    def run(self, seconds: float) -> None:
        """Let that much time pass, with every step when it is due."""
        end = self.now + seconds
        while True:
            wait = self.delivery.step()
            if wait is None or self.now + wait > end:
                break
            self.now += wait
        self.now = end

    def drain(self) -> None:
        """Step until nothing is to be done at this instant."""
        while self.delivery.step() == 0:
            pass

    @property
    def state(self) -> EndpointState:
        return self.delivery.state

    def dead(self) -> dict[str, str]:
        return {letter.event_id: letter.reason for letter in DeadLetters(self.folder)}

    def _begin(self) -> Delivery:
        transport = Transport(f"{self.url}/batch", self.key, clock=self.clock)
        return Delivery(self.folder, transport, pace=self.pace, age_limit=self.age_limit, clock=self.clock)

    def clock(self) -> float:
        return self.now


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def portal(receiver: Receiver, tmp_path: Path) -> Iterator[Portal]:
    made = Portal(tmp_path, receiver.url)
    receiver.date = receiver.signed_at = made.clock
    yield made
    made.delivery.close()


def _ids(events: list[Event]) -> list[str]:
    return [event["event_id"] for event in events]


def _stumble(bad: Callable[[Event], bool], status: int = 500) -> Callable[[list[Event]], Answer | None]:
    """A receiver that fails as a whole as soon as one event of a request is bad."""
    return lambda events: Answer(status) if any(map(bad, events)) else None


def test_a_backlog_goes_out_in_batches_of_up_to_500(portal: Portal, receiver: Receiver) -> None:
    ids = portal.emit("s1", 1_201)
    portal.drain()
    assert _ids(receiver.accepted) == ids
    assert [len(request) for request in receiver.requests] == [500, 500, 201]


def test_a_batch_keeps_below_what_one_request_may_hold(portal: Portal, receiver: Receiver) -> None:
    ids = portal.emit("s1", 100, text="x" * 60_000)
    portal.drain()
    assert _ids(receiver.accepted) == ids
    assert [len(request) for request in receiver.requests] == [69, 31]


def test_a_day_without_ops_loses_nothing(receiver: Receiver, tmp_path: Path) -> None:
    """24 hours, half of them nobody listening, half 503; two events a minute come all the while."""
    portal = Portal(tmp_path, f"http://127.0.0.1:{free_port()}/hook")
    emitted = []
    for minute in range(24 * 60):
        if minute == 12 * 60:
            portal.url = receiver.url
            receiver.date = receiver.signed_at = portal.clock
            receiver.judge = lambda _: Answer(503)
            portal.restart()
        emitted += portal.emit(f"s{minute % 7}", 2)
        portal.run(60 - 0.003)
    probes = portal.delivery.counts["retries"]
    assert probes <= 12 * HOUR / portal.pace.open_interval + TRIPS_AFTER
    assert receiver.accepted == []
    receiver.judge = lambda _: None
    portal.run(2 * portal.pace.open_interval)
    assert _ids(receiver.accepted) == emitted
    assert portal.state.condition is Condition.OK
    assert portal.dead() == {}
    portal.delivery.close()


def test_the_open_breaker_lets_one_probe_through_per_interval(portal: Portal, receiver: Receiver) -> None:
    times: list[float] = []

    def note_and_fail(_: list[Event]) -> Answer:
        times.append(portal.now)
        return Answer(500)

    receiver.judge = note_and_fail
    portal.emit("s1", 3)
    portal.emit("s2", 3)
    portal.run(HOUR)
    assert portal.state.condition == "breaker open"
    opened = [later - earlier for earlier, later in itertools.pairwise(times)][-20:]
    assert min(opened) >= portal.pace.open_interval
    assert max(opened) <= 1.5 * portal.pace.open_interval
    receiver.judge = lambda _: None
    portal.run(60)
    assert len(receiver.accepted) == 6
    assert portal.state.condition is Condition.OK


def test_backoff_is_exponential_with_full_jitter() -> None:
    pace = Pace(first=0.2, longest=30.0)
    for failures, ceiling in ((1, 0.2), (4, 1.6), (10, 30.0), (100_000, 30.0)):
        delays = [pace.backoff(failures) for _ in range(500)]
        assert 0 <= min(delays) < ceiling / 4
        assert ceiling * 3 / 4 < max(delays) <= ceiling


def test_the_next_attempt_waits_its_time_across_a_restart(portal: Portal, receiver: Receiver) -> None:
    receiver.answers.append(Answer(503, {"retry-after": "600"}))
    portal.emit("s1")
    portal.drain()
    portal.restart()
    portal.run(599)
    assert len(receiver.requests) == 1
    portal.run(2)
    assert len(receiver.accepted) == 1


def test_a_clock_set_back_does_not_put_the_next_attempt_off(portal: Portal, receiver: Receiver) -> None:
    receiver.answers.append(Answer(503, {"retry-after": "60"}))
    portal.emit("s1")
    portal.drain()
    portal.now -= 24 * HOUR
    portal.run(61)
    assert len(receiver.accepted) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120.0), (formatdate(START + 90, usegmt=True), 89.0), ("99999999999999", 3600.0), ("soon", 0.0)],
)
def test_retry_after_in_every_form(portal: Portal, receiver: Receiver, text: str, seconds: float) -> None:
    receiver.answers.append(Answer(429, {"retry-after": text}))
    portal.emit("s1")
    portal.drain()
    assert seconds - 1 <= portal.state.next_attempt_at - portal.now <= seconds + 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_signature_pauses_and_says_so(
    portal: Portal, receiver: Receiver, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.judge = lambda _: Answer(status)
    ids = portal.emit("s1", 3)
    with caplog.at_level(logging.WARNING):
        portal.run(HOUR)
    assert portal.state.condition is Condition.PAUSED
    assert len(receiver.requests) == 12 or len(receiver.requests) == 13
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "OPS_WEBHOOK_SECRET" in errors[0].getMessage()
    receiver.judge = lambda _: None
    portal.run(portal.pace.paused_interval)
    assert _ids(receiver.accepted) == ids


def test_a_paused_endpoint_is_asked_at_once_with_a_new_secret(portal: Portal, receiver: Receiver) -> None:
    receiver.answers.append(Answer(401))
    portal.emit("s1")
    portal.drain()
    portal.restart()
    portal.drain()
    assert receiver.accepted == []
    portal.key = b"n" * 32
    portal.restart()
    portal.drain()
    assert len(receiver.accepted) == 1


def test_gone_stops_until_somebody_asks(portal: Portal, receiver: Receiver) -> None:
    receiver.answers.append(Answer(410))
    portal.emit("s1")
    portal.run(24 * HOUR)
    portal.restart()
    portal.run(24 * HOUR)
    assert (len(receiver.requests), portal.state.condition) == (1, Condition.STOPPED)
    ask_to_retry(portal.folder)
    portal.drain()
    assert len(receiver.accepted) == 1


def test_refused_events_become_dead_letters_and_the_rest_goes_on(portal: Portal, receiver: Receiver) -> None:
    ids = portal.emit("s1", 10)
    receiver.refuse = lambda event: {ids[2]: "conflict", ids[7]: "invalid"}.get(event["event_id"])
    portal.drain()
    assert _ids(receiver.accepted) == [each for each in ids if each not in (ids[2], ids[7])]
    assert portal.dead() == {ids[2]: "conflict: as told", ids[7]: "invalid: as told"}
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [409, 413, 422])
def test_a_request_refused_as_a_whole_is_taken_apart(portal: Portal, receiver: Receiver, status: int) -> None:
    ids = portal.emit("s1", 40)
    receiver.judge = _stumble(lambda event: event["event_id"] == ids[25], status)
    portal.drain()
    assert _ids(receiver.accepted) == ids[:25] + ids[26:]
    assert list(portal.dead()) == [ids[25]]


def test_a_poisoned_session_never_blocks_the_others(portal: Portal, receiver: Receiver) -> None:
    receiver.judge = _stumble(lambda event: event["data"].get("poison", False))
    before = portal.emit("poisoned", 2)
    portal.emit("poisoned", poison=True)
    portal.emit("poisoned", 5)
    healthy = portal.emit("healthy", 100)
    portal.run(60)
    assert _ids(receiver.of("healthy")) == healthy
    assert _ids(receiver.of("poisoned")) == before
    healthy += portal.emit("healthy", 3)
    portal.emit("poisoned", 2)
    portal.run(1)
    assert _ids(receiver.of("healthy")) == healthy
    portal.restart()
    healthy += portal.emit("healthy", 3)
    portal.run(1)
    assert _ids(receiver.of("healthy")) == healthy


def test_a_poisoned_session_goes_on_in_order_once_ops_is_mended(portal: Portal, receiver: Receiver) -> None:
    receiver.judge = _stumble(lambda event: event["data"].get("poison", False))
    ids = portal.emit("s1", 2) + portal.emit("s1", poison=True) + portal.emit("s1", 3)
    portal.run(30)
    ids += portal.emit("s1", 3)
    portal.run(30)
    assert _ids(receiver.of("s1")) == ids[:2]
    portal.restart()
    receiver.judge = lambda _: None
    portal.run(60)
    assert _ids(receiver.of("s1")) == ids
    assert list((portal.folder / "parked").iterdir()) == []


def test_many_poisoned_sessions_do_not_block_the_others_either(portal: Portal, receiver: Receiver) -> None:
    receiver.judge = _stumble(lambda event: event["session_id"].startswith("poison"))
    for number in range(3 * TRIPS_AFTER):
        portal.emit(f"poison{number}")
    healthy = portal.emit("healthy", 5)
    portal.run(20 * portal.pace.open_interval)
    assert _ids(receiver.of("healthy")) == healthy


def test_a_poisoned_event_dies_of_age_and_its_session_goes_on(portal: Portal, receiver: Receiver) -> None:
    portal.age_limit = 3 * HOUR
    portal.restart()
    receiver.judge = _stumble(lambda event: event["data"].get("poison", False))
    poison = portal.emit("s1", poison=True)
    later = portal.emit("s1", 3)
    portal.run(portal.age_limit + HOUR)
    assert _ids(receiver.accepted) == later
    assert list(portal.dead()) == poison
    assert portal.dead()[poison[0]].startswith("too old: HTTP 500")


def test_an_outage_beyond_the_age_limit_ends_in_dead_letters(portal: Portal, receiver: Receiver) -> None:
    portal.age_limit = 3 * HOUR
    portal.restart()
    receiver.judge = lambda _: Answer(503)
    old = portal.emit("s1", 3)
    portal.run(portal.age_limit - HOUR)
    young = portal.emit("s1", 2)
    portal.run(2 * HOUR)
    assert sorted(portal.dead()) == sorted(old)
    receiver.judge = lambda _: None
    portal.run(60)
    assert _ids(receiver.accepted) == young


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
    portal: Portal, receiver: Receiver, body: bytes
) -> None:
    receiver.answers.append(Answer(200, body=body))
    ids = portal.emit("s1")
    portal.drain()
    assert portal.state.condition is Condition.BACKING_OFF
    portal.run(1)
    assert _ids(receiver.attempts) == ids * 2
    assert (_ids(receiver.accepted), portal.dead()) == (ids, {})


@pytest.mark.parametrize("status", [204, 302, 404, 418, 502])
def test_any_other_answer_is_tried_again(portal: Portal, receiver: Receiver, status: int) -> None:
    receiver.answers.append(Answer(status, {"location": "http://127.0.0.1:9/"}, b""))
    ids = portal.emit("s1")
    portal.run(1)
    assert _ids(receiver.accepted) == ids


def test_an_answer_without_end_is_cut_off(
    portal: Portal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal_hooks.transport.MAX_ANSWER_BYTES", 10_000)
    receiver.answers.append(Answer(200, body=b"x" * 20_000))
    portal.emit("s1")
    portal.drain()
    assert "longer than" in (portal.state.reason or "")


@pytest.mark.parametrize("skew", [-400.0, 400.0])
def test_a_wrong_clock_is_noticed_and_reported(
    portal: Portal, receiver: Receiver, skew: float, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.date = lambda: portal.now + skew
    receiver.answers.append(Answer(401))
    portal.emit("s1")
    with caplog.at_level(logging.WARNING):
        portal.drain()
    assert portal.state.clock_skew == pytest.approx(skew, abs=1)
    side = "ahead of" if skew > 0 else "behind"
    assert any(f"{side} it" in record.getMessage() for record in caplog.records)


def test_order_per_session_survives_failures_restarts_and_poison(portal: Portal, receiver: Receiver) -> None:
    """A fifth of all requests fails, in every way; the sender restarts now and then."""
    chance = random.Random(20261122)
    kinds = [Answer(500), Answer(503), Answer(502), Answer(429, {"retry-after": "1"}), Answer(200, body=b"?")]
    receiver.judge = lambda _: chance.choice(kinds) if chance.random() < 0.2 else None
    sessions: dict[str, list[str]] = {f"s{number}": [] for number in range(20)}
    for turn in range(300):
        session = chance.choice(list(sessions))
        sessions[session] += portal.emit(session, chance.randint(1, 5))
        portal.run(chance.random() * 2)
        if turn % 50 == 49:
            portal.restart()
    portal.run(HOUR)
    for session, ids in sessions.items():
        assert list(dict.fromkeys(_ids(receiver.of(session)))) == ids
    assert portal.dead() == {}


def test_only_one_process_at_a_time_may_send(tmp_path: Path) -> None:
    first, second = SenderLock(tmp_path), SenderLock(tmp_path)
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_the_endpoint_file_tells_no_secret(portal: Portal, receiver: Receiver) -> None:
    receiver.answers.append(Answer(503))
    portal.emit("s1")
    portal.drain()
    text = (portal.folder / "endpoint.json").read_text()
    assert json.loads(text)["condition"] == "backing off"
    assert SECRET.removeprefix("whsec_") not in text
    assert not any(path.stat().st_mode & 0o077 for path in portal.folder.rglob("*.seg"))


@pytest.mark.parametrize("content", ["", "[]", '{"condition": "new"}', '{"unknown": 1}'])
def test_an_unreadable_endpoint_file_is_a_fresh_start(tmp_path: Path, content: str) -> None:
    (tmp_path / "endpoint.json").write_text(content)
    assert EndpointState.read(tmp_path) == EndpointState()


def test_a_disk_that_fails_keeps_the_events(portal: Portal, receiver: Receiver) -> None:
    """Where a dead letter cannot be kept the event is not given up either."""
    receiver.refuse = lambda _: "conflict"
    ids = portal.emit("s1")
    (portal.folder / "dead").write_text("in the way")
    with pytest.raises(OSError, match="exists"):
        portal.drain()
    (portal.folder / "dead").unlink()
    portal.drain()
    assert list(portal.dead()) == ids
