"""The group-commit writer alone, on a real SQLite database."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, select

from ops_service.ingress import writer as writer_module
from ops_service.ingress.writer import Overloaded, Writer
from portal_hooks.instants import now_instant
from projections.database.database import Database, DatabaseUnavailable
from projections.database.tables import webhook_events
from projections.envelope import Delivery, parse_envelope
from projections.log import Receipt
from projections.onboarding.projector import project
from tests.running_ops import event


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """A fresh, migrated database."""
    database = Database(sqlite_url)
    yield database
    database.dispose()


def delivery(event_id: str, session_id: str = "s1") -> Delivery:
    sent = event("domain.validated", session_id, event_id=event_id)
    return Delivery("portal", now_instant(), parse_envelope(sent))


def stored(database: Database) -> list[str]:
    with database.read() as connection:
        query = select(webhook_events.c.event_id).order_by(webhook_events.c.position)
        return list(connection.execute(query).scalars())


def run(
    database: Database,
    use: Callable[[Writer], Coroutine[Any, Any, None]],
    observe: Callable[[int], None] = lambda _size: None,
) -> None:
    """Use a started writer; it is stopped afterwards."""

    async def whole() -> None:
        writer = Writer(database, lambda receipts: observe(len(receipts)))
        writer.start()
        try:
            await use(writer)
        finally:
            await writer.stop()

    asyncio.run(whole())


@contextmanager
def busy(database: Database) -> Iterator[Callable[[], None]]:
    """Another connection holds the write lock until the given function is called."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with database.write():
            held.set()
            release.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    try:
        yield release.set
    finally:
        release.set()
        holder.join()


async def begun(writer: Writer, *deliveries: Delivery) -> "asyncio.Task[list[Receipt]]":
    """A submission that waits in the writer."""
    task = asyncio.create_task(writer.submit(deliveries))
    await asyncio.sleep(0)
    return task


def test_nobody_is_answered_before_the_commit(database: Database) -> None:
    async def use(writer: Writer) -> None:
        with busy(database) as release:
            task = await begun(writer, delivery("e1"))
            done, _ = await asyncio.wait([task], timeout=0.3)
            assert not done
            assert stored(database) == []
            release()
            [receipt] = await task
            assert (receipt.status, stored(database)) == ("created", ["e1"])

    run(database, use)


def test_the_answer_comes_after_the_transaction_ended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that takes its time must be waited for, not only the statements before it."""
    committed = threading.Event()
    write = database.write

    @contextmanager
    def slow_commit() -> Iterator[Connection]:
        with write() as connection:
            yield connection
            time.sleep(0.2)
        committed.set()

    monkeypatch.setattr(database, "write", slow_commit)

    async def use(writer: Writer) -> None:
        await writer.submit([delivery("e1")])
        assert committed.is_set()

    run(database, use)


def test_what_waits_is_committed_together_and_in_order(database: Database) -> None:
    groups: list[int] = []

    async def use(writer: Writer) -> None:
        with busy(database) as release:
            first = await begun(writer, delivery("e0"))
            await asyncio.sleep(0.1)
            others = [await begun(writer, delivery(f"e{number}")) for number in range(1, 21)]
            batch = await begun(writer, delivery("b1"), delivery("b2"))
            release()
            await asyncio.gather(first, *others, batch)

    run(database, use, groups.append)
    assert groups == [1, 22]
    assert stored(database) == [f"e{number}" for number in range(21)] + ["b1", "b2"]


def test_a_group_has_a_bound(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "GROUP_SIZE", 4)
    groups: list[int] = []

    async def use(writer: Writer) -> None:
        with busy(database) as release:
            tasks = [await begun(writer, delivery(f"e{number}")) for number in range(12)]
            release()
            await asyncio.gather(*tasks)

    run(database, use, groups.append)
    assert sum(groups) == 12
    assert max(groups) == 4


def _break_project(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Projecting raises `error` whenever the event "bad" is among the deliveries, after it was appended."""

    def breaking(connection: Connection, deliveries: Sequence[Delivery]) -> list[Receipt]:
        receipts = project(connection, deliveries)
        if any(each.envelope.event_id == "bad" for each in deliveries):
            raise error
        return receipts

    monkeypatch.setattr(writer_module, "project", breaking)


def test_one_that_fails_does_not_harm_its_neighbours(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _break_project(monkeypatch, ValueError("a bug"))

    async def use(writer: Writer) -> None:
        with busy(database) as release:
            tasks = [await begun(writer, delivery(event_id)) for event_id in ("e1", "bad", "e2")]
            release()
            first, bad, second = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(bad, ValueError)
        assert isinstance(first, list)
        assert isinstance(second, list)
        assert [first[0].status, second[0].status] == ["created", "created"]
        assert (await writer.submit([delivery("e3")]))[0].status == "created"
        assert writer.waiting == 0

    run(database, use)
    assert stored(database) == ["e1", "e2", "e3"]


def test_a_database_that_cannot_be_used_fails_the_group_and_no_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _break_project(monkeypatch, DatabaseUnavailable("disk full"))

    async def use(writer: Writer) -> None:
        with pytest.raises(DatabaseUnavailable):
            await writer.submit([delivery("e1"), delivery("bad")])
        assert (await writer.submit([delivery("e2")]))[0].status == "created"

    run(database, use)
    assert stored(database) == ["e2"]


def test_a_waiter_that_left_is_no_obstacle(database: Database) -> None:
    async def use(writer: Writer) -> None:
        with busy(database) as release:
            left = await begun(writer, delivery("e1"))
            stays = await begun(writer, delivery("e2"))
            left.cancel()
            release()
            assert (await stays)[0].status == "created"
        assert left.cancelled()
        assert writer.waiting == 0

    run(database, use)
    # It was accepted; only nobody was there any more to hear so. Sent again, it is a duplicate.
    assert stored(database) == ["e1", "e2"]


def test_what_fails_when_nobody_waits_any_more_is_logged(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_connection: Connection) -> None:
        raise ValueError("no room")

    async def use(writer: Writer) -> None:
        with busy(database) as release:
            left = asyncio.create_task(writer.keep(broken))
            await asyncio.sleep(0.1)
            left.cancel()
            release()
            await writer.submit([delivery("e1")])

    run(database, use)
    assert "what nobody waits for any more could not be stored: no room" in caplog.messages


def test_more_than_may_wait_is_refused_at_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "CAPACITY", 3)

    async def use(writer: Writer) -> None:
        with busy(database) as release:
            tasks = [await begun(writer, delivery("e1"), delivery("e2"))]
            with pytest.raises(Overloaded):
                await writer.submit([delivery("e3"), delivery("e4")])
            tasks.append(await begun(writer, delivery("e5")))
            with pytest.raises(Overloaded):
                await writer.submit([delivery("e6")])
            assert writer.waiting == 3
            release()
            await asyncio.gather(*tasks)
        assert writer.waiting == 0
        assert (await writer.submit([delivery("e7")]))[0].status == "created"

    run(database, use)
    assert stored(database) == ["e1", "e2", "e5", "e7"]


def test_stopping_answers_all_that_wait_and_takes_no_more(database: Database) -> None:
    async def use(writer: Writer) -> None:
        with busy(database) as release:
            tasks = [await begun(writer, delivery(f"e{number}")) for number in range(5)]
            stopping = asyncio.create_task(writer.stop())
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await writer.submit([delivery("late")])
            release()
            receipts = await asyncio.gather(*tasks)
            await stopping
        assert [receipt.status for [receipt] in receipts] == ["created"] * 5

    run(database, use)
    assert stored(database) == [f"e{number}" for number in range(5)]
