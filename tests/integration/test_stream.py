"""GET /api/v1/stream: what it tells, from where, to whom, and how it ends."""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import httpx
import pytest
from sqlalchemy import delete

from ops_service.live import changes, feed
from ops_service.live import stream as live_stream
from ops_service.live.audience import Listener as Listening
from ops_service.principals import Principal
from projections.database.database import Database
from projections.database.tables import api_tokens
from projections.rebuild import rebuild, repair
from tests.deliveries import delivery, store
from tests.live_listener import PATH, Listener, listening, wait_until
from tests.rebuilds import no_progress
from tests.running_ops import RunningOps, event, running_ops


@contextmanager
def listener_of(ops: RunningOps, last_id: str | None = None) -> Iterator[Listener]:
    with listening(ops.url, ops.tokens["read"], last_id) as listener:
        yield listener


def send_some(ops: RunningOps, number: int, session_id: str = "s1") -> None:
    batch = [event("domain.validated", f"{session_id}-{each}") for each in range(number)]
    assert ops.send_batch(batch).status_code == 200


def test_an_event_is_told_soon_and_carries_no_payload(ops: RunningOps) -> None:
    with listener_of(ops) as listener:
        [start] = listener.messages
        assert (start.kind, start.data["reason"], start.id) == ("resync", "start", "0")
        sent = event("onboarding.started", "s1", domain="acme.pt", data={"secret": "x"})
        began = time.monotonic()
        assert ops.send(sent).status_code == 201
        wait_until(lambda: len(listener.messages) == 2)
        assert time.monotonic() - began < 1
    told = listener.messages[1]
    assert told.kind == "event"
    assert told.id == "1"
    assert told.data == {
        "position": 1,
        "event_id": sent["event_id"],
        "event_type": "onboarding.started",
        "session_id": "s1",
        "domain": "acme.pt",
    }


def test_a_commit_of_another_process_wakes_the_feed(ops: RunningOps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_WAIT_SECONDS", 5.0)
    with listener_of(ops) as listener:
        # `ops.database` shares nothing with the service but the database itself.
        for positions in ([1], [1, 2], [1, 2, 3]):
            time.sleep(0.3)
            store(ops.database, delivery("onboarding.started", f"s{len(positions)}"))
            wait_until(partial(is_equal, listener, positions), 2)


def is_equal(listener: Listener, positions: list[int]) -> bool:
    return listener.positions == positions


@pytest.mark.parametrize("how", ["header", "parameter", "both"])
def test_resumes_after_the_last_id(ops: RunningOps, how: str) -> None:
    send_some(ops, 5)
    headers = {"Last-Event-ID": "3"} if how != "parameter" else {}
    after = {"header": "", "parameter": "?after=3", "both": "?after=1"}[how]
    assert first_positions(ops, after, headers, 2) == [4, 5]


def first_positions(ops: RunningOps, query: str, headers: dict[str, str], number: int) -> list[int]:
    found: list[int] = []
    with ops.http.stream("GET", PATH + query, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        for line in response.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:])["position"])
            if len(found) == number:
                return found
    raise AssertionError(found)


def test_a_cursor_from_another_log_leads_to_a_resync(ops: RunningOps) -> None:
    send_some(ops, 2)
    with listener_of(ops, "77") as listener:
        wait_until(lambda: bool(listener.messages))
        assert listener.messages[0][:2] == ("resync", {"position": 2, "reason": "ahead"})
        send_some(ops, 1, "s2")
        wait_until(lambda: listener.positions == [3])


def test_a_huge_gap_leads_to_a_resync_instead_of_a_flood(
    ops: RunningOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST_EVENTS", 10)
    send_some(ops, 11)
    with listener_of(ops, "0") as listener:
        wait_until(lambda: bool(listener.messages))
        assert listener.messages[0][:2] == ("resync", {"position": 11, "reason": "gap"})
        send_some(ops, 12, "s2")  # as much at once, while the stream is open
        wait_until(lambda: len(listener.messages) == 2)
        assert listener.messages[1][:2] == ("resync", {"position": 23, "reason": "gap"})
    with listener_of(ops, "13") as listener:
        wait_until(lambda: listener.positions == list(range(14, 24)))


def test_a_change_of_a_ticket_is_told(ops: RunningOps) -> None:
    ops.send(event("onboarding.failed", "s1"))
    with listener_of(ops) as listener:
        assert ops.http.post("/api/v1/desk/tickets/1/notes", json={"body": "called"}).status_code == 201
        wait_until(lambda: len(listener.of("ticket")) == 1)
        changed = ops.http.patch(
            "/api/v1/desk/tickets/1", json={"status": "closed"}, headers={"If-Match": "*"}
        )
        assert changed.status_code == 200
        wait_until(lambda: len(listener.of("ticket")) == 2)
    assert listener.of("ticket")[1][1:] == ({"ticket_id": 1, "session_id": "s1"}, None)


@pytest.mark.parametrize("of_one_session", [False, True])
def test_a_rebuild_is_told_once(ops: RunningOps, of_one_session: bool) -> None:
    send_some(ops, 20)
    with listener_of(ops) as listener:
        if of_one_session:
            assert repair.rebuild_session(ops.database, "s1-0")
        else:
            rebuild.rebuild(ops.database, no_progress)
        wait_until(lambda: bool(listener.of("service")))
        time.sleep(0.3)
    assert [told.data for told in listener.messages[1:]] == [{"changed": ["rebuilt"]}]


def test_a_refused_delivery_is_told(ops: RunningOps) -> None:
    with listener_of(ops) as listener:
        assert ops.send({"event_id": "x", "event_type": "onboarding.started"}).status_code == 422
        wait_until(lambda: [told.data for told in listener.of("service")] == [{"changed": ["rejected"]}])


def test_no_gap_and_no_repeat_under_load_with_random_cuts(ops: RunningOps) -> None:
    """Two portals send through two doors while the clients are cut at random moments, again and again."""
    chance = random.Random(7)
    stop = threading.Event()

    def portal(number: int) -> None:
        while not stop.is_set():
            if number:
                store(ops.database, delivery("domain.validated", f"p{number}", time.time()))
            else:
                send_some(ops, chance.randint(1, 20), f"b{time.time_ns()}")
            time.sleep(0.01)

    listeners = [Listener(ops.url, ops.tokens["read"], "0") for _ in range(4)]
    portals = [threading.Thread(target=portal, args=(number,)) for number in range(2)]
    for thread in portals:
        thread.start()
    try:
        for _ in range(60):
            time.sleep(0.05)
            chance.choice(listeners).cut()
        stop.set()
        for thread in portals:
            thread.join()
        last = ops.get("/api/v1/events", order="desc", limit=1)["events"][0]["position"]
        for listener in listeners:
            wait_until(lambda listener=listener: listener.positions[-1] == last)  # type: ignore[misc]
    finally:
        stop.set()
        for listener in listeners:
            listener.close()
    assert last > 100
    for listener in listeners:
        assert listener.positions == list(range(1, last + 1))
        assert listener.connections > 5
        assert listener.of("resync") == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_is_published_around_the_first_reading_is_told_once(
    ops: RunningOps, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    running = ops_feed(ops)
    read = running._read_opening

    def publish_one() -> None:
        store(ops.database, delivery("onboarding.started", "s1"))
        wait_until(lambda: running.position == 1)

    def read_amid(after: int | None) -> tuple[int, list[changes.Message]]:
        if when == "before":
            publish_one()
        found = read(after)
        if when == "after":
            publish_one()
        return found

    monkeypatch.setattr(running, "_read_opening", read_amid)
    with listener_of(ops, "0") as listener:
        store(ops.database, delivery("onboarding.started", "s2"))
        wait_until(lambda: listener.positions[-1:] == [2])
        assert listener.positions == [1, 2]


def test_a_slow_client_holds_nothing_and_is_told_what_it_may_have_missed(
    ops: RunningOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: feed.Feed = ops_feed(ops)
    monkeypatch.setattr(running, "_ring", type(running._ring)(maxlen=50))
    begun = running.end
    for _ in range(6):
        send_some(ops, 20, f"r{time.time_ns()}")
    with listener_of(ops) as listener:  # makes the feed run
        for _ in range(6):
            send_some(ops, 20, f"r{time.time_ns()}")
            time.sleep(0.1)
        wait_until(lambda: listener.positions[-1:] == [240])
        somebody = Listening(Principal("somebody", "read"), b"")
        slow = live_stream.Stream(running, feed.Opening(begun, 120, []), somebody, always)
        assert [message.position for message in slow._new()] == [running.position, None]
        assert slow._new() == []
        assert len(running._ring) == 50


async def always() -> bool:
    """May listen."""
    return True


def ops_feed(ops: RunningOps) -> feed.Feed:
    found: feed.Feed = ops.app.state.feed
    return found


def test_streams_are_bounded_and_each_gives_its_place_back(database_url: str) -> None:
    with running_ops(database_url, max_streams=3) as ops:
        for _ in range(3):
            clients = [Listener(ops.url, ops.tokens["read"]) for _ in range(3)]
            wait_until(lambda clients=clients: all(each.connections for each in clients))  # type: ignore[misc]
            refused = ops.http.get(PATH)
            assert refused.status_code == 503
            assert refused.headers["content-type"] == "application/problem+json"
            assert int(refused.headers["retry-after"]) > 0
            assert ops.get("/api/v1/events")["events"] == []  # others are served meanwhile
            for client in clients:
                client.close()
            wait_until(lambda: ops_feed(ops).streams == 0)


def test_many_streams_hold_no_connection_of_the_pool(ops: RunningOps) -> None:
    clients = [Listener(ops.url, ops.tokens["read"]) for _ in range(40)]
    try:
        wait_until(lambda: all(each.connections for each in clients))
        database: Database = ops.app.state.database
        assert database._reader.pool.checkedout() <= 1  # type: ignore[attr-defined]
        send_some(ops, 3)
        wait_until(lambda: all(each.positions == [1, 2, 3] for each in clients))
    finally:
        for client in clients:
            client.close()


def test_a_quiet_stream_gives_signs_of_life(ops: RunningOps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_stream, "KEEPALIVE_SECONDS", 0.1)
    with listener_of(ops) as listener:
        wait_until(lambda: listener.comments >= 3)
        assert len(listener.messages) == 1


def test_a_revoked_token_ends_the_stream(ops: RunningOps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_stream, "LIFETIME_SECONDS", 0.5)
    with listener_of(ops) as listener:
        wait_until(lambda: listener.connections >= 2)  # a good token comes again unnoticed
        with ops.database.write() as connection:
            connection.execute(delete(api_tokens).where(api_tokens.c.name == "test-read"))
        wait_until(lambda: listener.refusals[-1:] == [401], 5)


def test_without_a_token_nothing_is_told(ops: RunningOps) -> None:
    answer = httpx.get(ops.url + PATH)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("last_id", ["x", "-1", "1.5", str(2**63), "1;2"])
def test_a_strange_cursor_is_refused(ops: RunningOps, last_id: str) -> None:
    for answer in (
        ops.http.get(PATH, headers={"Last-Event-ID": last_id}),
        ops.http.get(PATH, params={"after": last_id}),
    ):
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"


def test_open_streams_do_not_hold_up_the_end(database_url: str) -> None:
    with running_ops(database_url) as ops:
        clients = [Listener(ops.url, ops.tokens["read"]) for _ in range(10)]
        wait_until(lambda: all(each.connections for each in clients))
        ended = time.monotonic()
    seconds = time.monotonic() - ended
    for client in clients:
        client.close()
    assert seconds < 3
