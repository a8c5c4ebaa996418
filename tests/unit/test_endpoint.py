"""When the next attempt is made, and what is known of the other side: breaker, backoff, pauses, clocks."""

import itertools
import json
import logging
from email.utils import formatdate
from pathlib import Path

import pytest

from portal_hooks.delivery.breaker import Condition, EndpointState, Pace, ask_to_retry
from tests.servers.webhook_receiver import SECRET, Answer, Event, Receiver
from tests.unit.stepped_portal import HOUR, START, SteppedPortal, ids_of


def test_the_open_breaker_lets_one_probe_through_per_interval(
    stepped: SteppedPortal, receiver: Receiver
) -> None:
    times: list[float] = []

    def note_and_fail(_: list[Event]) -> Answer:
        times.append(stepped.now)
        return Answer(500)

    receiver.judge = note_and_fail
    stepped.emit("s1", 3)
    stepped.emit("s2", 3)
    stepped.run(HOUR)
    assert stepped.state.condition == "breaker open"
    opened = [later - earlier for earlier, later in itertools.pairwise(times)][-20:]
    assert min(opened) >= stepped.pace.open_interval
    assert max(opened) <= 1.5 * stepped.pace.open_interval
    receiver.judge = lambda _: None
    stepped.run(60)
    assert len(receiver.accepted) == 6
    assert stepped.state.condition is Condition.OK


def test_backoff_is_exponential_with_full_jitter() -> None:
    pace = Pace(first=0.2, longest=30.0)
    for failures, ceiling in ((1, 0.2), (4, 1.6), (10, 30.0), (100_000, 30.0)):
        delays = [pace.backoff(failures) for _ in range(500)]
        assert 0 <= min(delays) < ceiling / 4
        assert ceiling * 3 / 4 < max(delays) <= ceiling


def test_the_next_attempt_waits_its_time_across_a_restart(stepped: SteppedPortal, receiver: Receiver) -> None:
    receiver.answers.append(Answer(503, {"retry-after": "600"}))
    stepped.emit("s1")
    stepped.drain()
    stepped.restart()
    stepped.run(599)
    assert len(receiver.requests) == 1
    stepped.run(2)
    assert len(receiver.accepted) == 1


def test_a_clock_set_back_does_not_put_the_next_attempt_off(
    stepped: SteppedPortal, receiver: Receiver
) -> None:
    receiver.answers.append(Answer(503, {"retry-after": "60"}))
    stepped.emit("s1")
    stepped.drain()
    stepped.now -= 24 * HOUR
    stepped.run(61)
    assert len(receiver.accepted) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120.0), (formatdate(START + 90, usegmt=True), 89.0), ("99999999999999", 3600.0), ("soon", 0.0)],
)
def test_retry_after_in_every_form(
    stepped: SteppedPortal, receiver: Receiver, text: str, seconds: float
) -> None:
    receiver.answers.append(Answer(429, {"retry-after": text}))
    stepped.emit("s1")
    stepped.drain()
    assert seconds - 1 <= stepped.state.next_attempt_at - stepped.now <= seconds + 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_signature_pauses_and_says_so(
    stepped: SteppedPortal, receiver: Receiver, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.judge = lambda _: Answer(status)
    ids = stepped.emit("s1", 3)
    with caplog.at_level(logging.WARNING):
        stepped.run(HOUR)
    assert stepped.state.condition is Condition.PAUSED
    assert len(receiver.requests) == 12 or len(receiver.requests) == 13
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "OPS_WEBHOOK_SECRET" in errors[0].getMessage()
    receiver.judge = lambda _: None
    stepped.run(stepped.pace.paused_interval)
    assert ids_of(receiver.accepted) == ids


def test_a_paused_endpoint_is_asked_at_once_with_a_new_secret(
    stepped: SteppedPortal, receiver: Receiver
) -> None:
    receiver.answers.append(Answer(401))
    stepped.emit("s1")
    stepped.drain()
    stepped.restart()
    stepped.drain()
    assert receiver.accepted == []
    stepped.key = b"n" * 32
    stepped.restart()
    stepped.drain()
    assert len(receiver.accepted) == 1


def test_gone_stops_until_somebody_asks(stepped: SteppedPortal, receiver: Receiver) -> None:
    receiver.answers.append(Answer(410))
    stepped.emit("s1")
    stepped.run(24 * HOUR)
    stepped.restart()
    stepped.run(24 * HOUR)
    assert (len(receiver.requests), stepped.state.condition) == (1, Condition.STOPPED)
    ask_to_retry(stepped.folder)
    stepped.drain()
    assert len(receiver.accepted) == 1


@pytest.mark.parametrize("skew", [-400.0, 400.0])
def test_a_wrong_clock_is_noticed_and_reported(
    stepped: SteppedPortal, receiver: Receiver, skew: float, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.date = lambda: stepped.now + skew
    receiver.answers.append(Answer(401))
    stepped.emit("s1")
    with caplog.at_level(logging.WARNING):
        stepped.drain()
    assert stepped.state.clock_skew == pytest.approx(skew, abs=1)
    side = "ahead of" if skew > 0 else "behind"
    assert any(f"{side} it" in record.getMessage() for record in caplog.records)


def test_the_endpoint_file_tells_no_secret(stepped: SteppedPortal, receiver: Receiver) -> None:
    receiver.answers.append(Answer(503))
    stepped.emit("s1")
    stepped.drain()
    text = (stepped.folder / "endpoint.json").read_text()
    assert json.loads(text)["condition"] == "backing off"
    assert SECRET.removeprefix("whsec_") not in text
    assert not any(path.stat().st_mode & 0o077 for path in stepped.folder.rglob("*.seg"))


@pytest.mark.parametrize("content", ["", "[]", '{"condition": "new"}', '{"unknown": 1}'])
def test_an_unreadable_endpoint_file_is_a_fresh_start(tmp_path: Path, content: str) -> None:
    (tmp_path / "endpoint.json").write_text(content)
    assert EndpointState.read(tmp_path) == EndpointState()
