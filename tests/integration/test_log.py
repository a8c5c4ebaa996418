"""The event log: no event twice, positions without gap in the order of the commits."""

import threading
from contextlib import suppress

import pytest
from sqlalchemy import func, select

from projections import log
from projections.database.database import Database
from projections.envelope import Delivery
from projections.log import LOG
from projections.onboarding import history
from projections.onboarding.events import sort_key, to_event
from tests.deliveries import START, delivery, logged, store

VALIDATED = delivery("domain.validated", event_id="a", data={"mx": True})
OTHER_CONTENT = delivery("domain.validated", event_id="a", data={"mx": False})


def append(database: Database, *deliveries: Delivery) -> list[tuple[str, int]]:
    with database.write() as connection:
        receipts, _ = log.append(connection, deliveries)
    return [(receipt.status, receipt.position) for receipt in receipts]


def positions(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.execute(select(LOG.position).order_by(LOG.position)).scalars())


def test_new_events_get_consecutive_positions_in_their_order(database: Database) -> None:
    events = [delivery("a", event_id=f"e{number}") for number in range(5)]
    assert append(database, *events) == [("created", position) for position in range(1, 6)]
    assert append(database, delivery("a", event_id="next")) == [("created", 6)]
    with database.read() as connection:
        ids = list(connection.execute(select(LOG.event_id).order_by(LOG.position)).scalars())
        assert log.head(connection) == 6
    assert ids == ["e0", "e1", "e2", "e3", "e4", "next"]


@pytest.mark.parametrize("together", [True, False], ids=["one transaction", "one after the other"])
def test_repeats_point_to_the_first(database: Database, together: bool) -> None:
    sent = [VALIDATED, VALIDATED, OTHER_CONTENT, delivery("a", event_id="b"), VALIDATED]
    results = append(database, *sent) if together else [append(database, each)[0] for each in sent]
    assert results == [("created", 1), ("duplicate", 1), ("conflict", 1), ("created", 2), ("duplicate", 1)]
    assert positions(database) == [1, 2]


def test_the_first_of_two_contents_is_kept(database: Database) -> None:
    append(database, VALIDATED)
    append(database, OTHER_CONTENT)
    with database.read() as connection:
        assert connection.execute(select(LOG.payload)).scalars().all() == [VALIDATED.envelope.payload]


def test_ids_differ_by_source_and_by_case(database: Database) -> None:
    sent = [
        delivery("a", event_id="x", source="portal"),
        delivery("a", event_id="X", source="portal"),
        delivery("a", event_id="x", source="Portal"),
    ]
    assert [status for status, _ in append(database, *sent)] == ["created"] * 3


def test_a_repeat_keeps_the_time_of_the_first_receipt(database: Database) -> None:
    ahead = delivery("a", minute=60, event_id="x", received=0)
    append(database, ahead)
    assert append(database, ahead._replace(received_at=START + 10)) == [("duplicate", 1)]
    with database.read() as connection:
        row = connection.execute(select(LOG.occurred_at, LOG.effective_at, LOG.received_at)).one()
    assert tuple(row) == (ahead.envelope.occurred_at, START, START)


def test_what_is_read_back_is_what_was_created(database: Database) -> None:
    sent = [
        delivery("onboarding.failed", event_id="x", data={"step": "dns", "n": 1.5}),
        delivery("domain.validated", event_id="y", domain="é.pt", data={"mx": 1}),
        delivery("onboarding.completed", "s2", 3, data=None),
    ]
    with database.write() as connection:
        _, appended = log.append(connection, sent)
    created = [to_event(each) for each in appended]
    with database.read() as connection:
        found = history.sessions_events(connection, ["s1", "s2", "s3"])
    assert created == [logged(each, position) for position, each in enumerate(sent, start=1)]
    assert {key: sorted(events, key=sort_key) for key, events in found.items()} == {
        "s1": sorted(created[:2], key=sort_key),
        "s2": created[2:],
    }


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    with suppress(ZeroDivisionError), database.write() as connection:
        log.append(connection, [VALIDATED])
        raise ZeroDivisionError
    assert positions(database) == []
    assert append(database, VALIDATED)[0][0] == "created"


def test_histories_are_whole_sessions_in_id_order(database: Database) -> None:
    ids = ["B", "_", "a", "-"]
    append(database, *[delivery("a", name, minute) for name in ids for minute in range(3)])
    after: str | None = ""
    seen: list[tuple[str, int]] = []
    while after is not None:
        with database.read() as connection:
            sessions = log.next_range(connection, after, 4)
            seen += [(key, len(events)) for key, events in history.histories(connection, sessions)]
        after = sessions.last
    assert seen == [("-", 3), ("B", 3), ("_", 3), ("a", 3)]


def test_who_has_seen_a_position_has_seen_all_before_it(database: Database) -> None:
    done = threading.Event()
    broken: list[list[int]] = []

    def watch() -> None:
        while not done.is_set():
            seen = positions(database)
            if seen != list(range(1, len(seen) + 1)):
                broken.append(seen)

    def write(name: str) -> None:
        for number in range(20):
            append(database, *[delivery("a", event_id=f"{name}-{number}-{part}") for part in range(3)])

    watcher = threading.Thread(target=watch)
    writers = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in [watcher, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    watcher.join()
    assert broken == []
    assert positions(database) == list(range(1, 181))


def test_two_writers_of_one_event_store_it_once(database: Database) -> None:
    results: list[str] = []
    start = threading.Barrier(4)

    def write() -> None:
        start.wait()
        results.extend(receipt.status for receipt in store(database, VALIDATED))

    writers = [threading.Thread(target=write) for _ in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert sorted(results) == ["created", "duplicate", "duplicate", "duplicate"]
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(LOG.position.table)).scalar_one() == 1


def test_each_session_touched_since_a_position_is_told_once(database: Database) -> None:
    append(database, *(delivery("a", session, event_id=f"{n}") for n, session in enumerate("abcbdb")))
    with database.read() as connection:
        assert log.sessions_touched(connection, 2) == ["c", "b", "d"]
        assert log.sessions_touched(connection, 6) == []
