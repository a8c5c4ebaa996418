"""Events that Ops refuses or fails on, for good or for long: set apart, with the others going on."""

from pathlib import Path

import pytest

from portal_hooks.delivery.breaker import TRIPS_AFTER
from portal_hooks.spool.reader import Lane, ReadProgress
from tests.servers.webhook_receiver import Answer, Receiver
from tests.unit.stepped_portal import HOUR, SteppedPortal, ids_of, stumble


def test_refused_events_become_dead_letters_and_the_rest_goes_on(
    stepped: SteppedPortal, receiver: Receiver
) -> None:
    ids = stepped.emit("s1", 10)
    receiver.refuse = lambda event: {ids[2]: "conflict", ids[7]: "invalid"}.get(event["event_id"])
    stepped.drain()
    assert ids_of(receiver.accepted) == [each for each in ids if each not in (ids[2], ids[7])]
    assert stepped.dead() == {ids[2]: "conflict: as told", ids[7]: "invalid: as told"}
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [409, 413, 422])
def test_a_request_refused_as_a_whole_is_taken_apart(
    stepped: SteppedPortal, receiver: Receiver, status: int
) -> None:
    ids = stepped.emit("s1", 40)
    receiver.judge = stumble(lambda event: event["event_id"] == ids[25], status)
    stepped.drain()
    assert ids_of(receiver.accepted) == ids[:25] + ids[26:]
    assert list(stepped.dead()) == [ids[25]]


def test_a_poisoned_session_never_blocks_the_others(stepped: SteppedPortal, receiver: Receiver) -> None:
    receiver.judge = stumble(lambda event: event["data"].get("poison", False))
    before = stepped.emit("poisoned", 2)
    stepped.emit("poisoned", poison=True)
    stepped.emit("poisoned", 5)
    healthy = stepped.emit("healthy", 100)
    stepped.run(60)
    assert ids_of(receiver.of("healthy")) == healthy
    assert ids_of(receiver.of("poisoned")) == before
    healthy += stepped.emit("healthy", 3)
    stepped.emit("poisoned", 2)
    stepped.run(1)
    assert ids_of(receiver.of("healthy")) == healthy
    stepped.restart()
    healthy += stepped.emit("healthy", 3)
    stepped.run(1)
    assert ids_of(receiver.of("healthy")) == healthy


def test_a_poisoned_session_goes_on_in_order_once_ops_is_mended(
    stepped: SteppedPortal, receiver: Receiver
) -> None:
    receiver.judge = stumble(lambda event: event["data"].get("poison", False))
    ids = stepped.emit("s1", 2) + stepped.emit("s1", poison=True) + stepped.emit("s1", 3)
    stepped.run(30)
    ids += stepped.emit("s1", 3)
    stepped.run(30)
    assert ids_of(receiver.of("s1")) == ids[:2]
    stepped.restart()
    receiver.judge = lambda _: None
    stepped.run(60)
    assert ids_of(receiver.of("s1")) == ids
    assert list((stepped.folder / "parked").iterdir()) == []


def test_many_poisoned_sessions_do_not_block_the_others_either(
    stepped: SteppedPortal, receiver: Receiver
) -> None:
    receiver.judge = stumble(lambda event: event["session_id"].startswith("poison"))
    for number in range(3 * TRIPS_AFTER):
        stepped.emit(f"poison{number}")
    healthy = stepped.emit("healthy", 5)
    stepped.run(20 * stepped.pace.open_interval)
    assert ids_of(receiver.of("healthy")) == healthy


def test_a_session_is_parked_for_its_own_failure_not_for_one_beside_it(
    stepped: SteppedPortal, receiver: Receiver
) -> None:
    """A batch holds an event that is only moved aside, and one to be sent that fails."""
    receiver.answers.append(Answer(500, {"retry-after": "60"}))
    stepped.emit("first")
    stepped.drain()
    before = _parked(stepped.folder)["first"]
    receiver.judge = lambda _: Answer(500)
    stepped.emit("first")
    stepped.emit("second")
    stepped.now += 60
    while "second" not in _parked(stepped.folder):
        stepped.now += stepped.delivery.step() or 0.0
    assert _parked(stepped.folder)["first"] == before
    assert _parked(stepped.folder)["second"].failures == 1


def test_a_parked_session_waits_an_hour_at_most(stepped: SteppedPortal, receiver: Receiver) -> None:
    receiver.answers.append(Answer(500, {"retry-after": str(24 * 3600)}))
    ids = stepped.emit("s1")
    stepped.drain()
    stepped.run(HOUR - 1)
    assert receiver.accepted == []
    stepped.restart()
    stepped.run(2)
    assert ids_of(receiver.accepted) == ids


def test_a_clock_set_back_puts_a_parked_session_off_by_an_hour_at_most(
    stepped: SteppedPortal, receiver: Receiver
) -> None:
    receiver.answers.append(Answer(500))
    ids = stepped.emit("s1")
    stepped.drain()
    stepped.now -= 24 * HOUR
    stepped.run(HOUR + 1)
    assert ids_of(receiver.accepted) == ids


def test_a_poisoned_event_dies_of_age_and_its_session_goes_on(
    stepped: SteppedPortal, receiver: Receiver
) -> None:
    stepped.age_limit = 3 * HOUR
    stepped.restart()
    receiver.judge = stumble(lambda event: event["data"].get("poison", False))
    poison = stepped.emit("s1", poison=True)
    later = stepped.emit("s1", 3)
    stepped.run(stepped.age_limit + HOUR)
    assert ids_of(receiver.accepted) == later
    assert list(stepped.dead()) == poison
    assert stepped.dead()[poison[0]].startswith("too old: HTTP 500")


def test_an_outage_beyond_the_age_limit_ends_in_dead_letters(
    stepped: SteppedPortal, receiver: Receiver
) -> None:
    stepped.age_limit = 3 * HOUR
    stepped.restart()
    receiver.judge = lambda _: Answer(503)
    old = stepped.emit("s1", 3)
    stepped.run(stepped.age_limit - HOUR)
    young = stepped.emit("s1", 2)
    stepped.run(2 * HOUR)
    assert sorted(stepped.dead()) == sorted(old)
    receiver.judge = lambda _: None
    stepped.run(60)
    assert ids_of(receiver.accepted) == young


def test_a_disk_that_fails_keeps_the_events(stepped: SteppedPortal, receiver: Receiver) -> None:
    """Where a dead letter cannot be kept the event is not given up either."""
    receiver.refuse = lambda _: "conflict"
    ids = stepped.emit("s1")
    (stepped.folder / "dead").write_text("in the way")
    with pytest.raises(OSError, match="exists"):
        stepped.drain()
    (stepped.folder / "dead").unlink()
    stepped.drain()
    assert list(stepped.dead()) == ids


def _parked(spool: Path) -> dict[str, ReadProgress]:
    """Of each parked session, how its attempts went."""
    lanes = [Lane(folder, has_writer=False) for folder in spool.glob("parked/*")]
    return {lane.read_all()[0].session_id: lane.progress for lane in lanes}
