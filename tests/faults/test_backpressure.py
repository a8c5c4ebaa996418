"""Pressure is answered honestly: nothing twice, nothing lost, a clear refusal, and recovery by itself."""

import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from ops_service.ingress import writer
from portal_hooks.contract import MAX_BATCH_ITEMS
from projections.database.engines import BUSY_TIMEOUT_MS
from projections.database.tables import webhook_events
from tests.faults.ops_process import ops_process
from tests.faults.portal_load import audit, portals, wait_for
from tests.faults.restartable_postgres import RestartablePostgres
from tests.running_ops import OTHER_KEY, RunningOps, event, running_ops

pytestmark = pytest.mark.timeout(300)

DUPLICATES = 64
REFUSED = 60
"""More than there are worker threads, or connections, that a refusal may hold while it waits."""
READ_SECONDS = 4.0
"""Generous for a slow machine, and still less than the writer waits for its lock."""


def test_one_event_sent_many_times_at_once_is_stored_once(database_url: str) -> None:
    sent = event("account.created", "s1", data={"account": "a"})
    with running_ops(database_url) as ops, ThreadPoolExecutor(DUPLICATES) as pool:
        answers = [each.result() for each in [pool.submit(ops.send, sent) for _ in range(DUPLICATES)]]
        statuses = Counter(answer.status_code for answer in answers)
        assert statuses == {201: 1, 200: DUPLICATES - 1}
        assert len({answer.json()["position"] for answer in answers}) == 1
        assert stored(ops) == 1
        assert ops.get("/api/v1/onboard/sessions/s1")["event_count"] == 1
        assert ops.get("/api/v1/desk/tickets")["total"] == 1


def test_two_services_on_one_database_store_it_once(database_url: str, tmp_path: Path) -> None:
    sent = event("account.created", "s1")
    with running_ops(database_url) as one, ops_process(database_url, tmp_path) as two:
        with ThreadPoolExecutor(DUPLICATES) as pool:
            tasks = [pool.submit(send, sent) for send in [one.send, two.send] * (DUPLICATES // 2)]
            answers = [each.result() for each in tasks]
        assert Counter(answer.status_code for answer in answers) == {201: 1, 200: DUPLICATES - 1}
        assert len({answer.json()["position"] for answer in answers}) == 1
        assert stored(one) == 1


def test_while_another_holds_the_write_lock_senders_wait_and_reads_answer(database_url: str) -> None:
    with running_ops(database_url) as ops, ThreadPoolExecutor(32) as pool:
        with ops.database.write():
            began = time.monotonic()
            waiting = [pool.submit(ops.send, event("domain.validated", f"s{n}")) for n in range(32)]
            reads = read_until_done(ops, waiting)
            took = time.monotonic() - began
        assert took >= BUSY_TIMEOUT_MS / 1000 * 0.9, "nobody waited"
        assert took < 3 * BUSY_TIMEOUT_MS / 1000
        assert reads >= 10
        check_refused(each.result() for each in waiting)
        assert stored(ops) == 0
        assert ops.send(event("domain.validated", "s1")).status_code == 201


def test_refusals_that_cannot_be_kept_stop_no_reads_and_shall_come_again(database_url: str) -> None:
    """A 422 is kept in the database; while that is busy, a portal's broken events must not use up what the
    desk's reads need, and none of them may vanish."""
    kept = "/api/v1/rejected-deliveries"
    wrong = event("domain.validated", "s1", occurred_at="yesterday")
    with running_ops(database_url) as ops, ThreadPoolExecutor(REFUSED) as pool:
        with ops.database.write():
            waiting = [pool.submit(ops.send, wrong) for _ in range(REFUSED)]
            assert read_until_done(ops, waiting) >= 10
        check_refused(each.result() for each in waiting)
        assert ops.get(kept)["total"] == 0
        assert ops.send(wrong).status_code == 422
        assert ops.get(kept)["total"] == 1


def test_a_process_whose_threads_all_wait_is_still_known_to_be_alive(database_url: str) -> None:
    """Whoever watches it would end it otherwise, and with it all that waits."""
    with running_ops(database_url) as ops, ThreadPoolExecutor(REFUSED) as pool, ops.database.write():
        users = [{"name": f"user{number}"} for number in range(REFUSED)]
        waiting = [pool.submit(ops.http.post, "/api/v1/users", json=user) for user in users]
        wait_for(lambda: not is_answered(ops, "/"), 4, "every thread to be waiting")
        assert is_answered(ops, "/healthz")
        assert not any(each.done() for each in waiting)


def test_a_full_queue_refuses_at_once_and_keeps_what_it_took(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CAPACITY", 8)
    with running_ops(database_url) as ops, ThreadPoolExecutor(12) as pool:
        with ops.database.write():
            began = time.monotonic()
            waiting = [pool.submit(ops.send, event("domain.validated", f"s{n}")) for n in range(12)]
            wait_for(lambda: sum(each.done() for each in waiting) >= 4, 4, "four refusals")
            batch = ops.send_batch([event("domain.validated", "s1") for _ in range(9)])
            assert time.monotonic() - began < 3, "a full queue must not make anybody wait"
            check_refused([batch, *(each.result() for each in waiting if each.done())])
        answers = [each.result() for each in waiting]
        assert Counter(answer.status_code for answer in answers) == {201: 8, 503: 4}
        assert stored(ops) == 8
        assert ops.send(event("domain.validated", "s1")).status_code == 201


def test_a_batch_of_the_largest_size_fits_the_queue(sqlite_url: str) -> None:
    assert MAX_BATCH_ITEMS <= writer.CAPACITY
    with running_ops(sqlite_url) as ops:
        assert ops.send_batch([event("a", "s1") for _ in range(MAX_BATCH_ITEMS)]).status_code == 200
        assert stored(ops) == MAX_BATCH_ITEMS


def test_one_source_that_sends_too_fast_does_not_slow_another(sqlite_url: str) -> None:
    with running_ops(sqlite_url, max_events_per_second=10) as ops:
        answers = [ops.send(event("a", "s1")) for _ in range(10)]
        began = time.monotonic()
        limited = ops.send_batch([event("a", "s1") for _ in range(10)])
        assert {answer.status_code for answer in answers} == {201}
        assert limited.status_code == 429
        pause = int(limited.headers["retry-after"])
        assert 1 <= pause <= 2
        assert ops.send(event("a", "s1"), key=OTHER_KEY).status_code == 201
        assert stored(ops) == 11
        time.sleep(pause - (time.monotonic() - began))
        assert ops.send_batch([event("a", "s1") for _ in range(10)]).status_code == 200


def test_restarts_of_postgresql_are_503_and_over_by_themselves(tmp_path: Path) -> None:
    with RestartablePostgres.running() as server, ops_process(server.url, tmp_path) as ops:
        with portals(ops.url) as ledger:
            for stop in (server.stop_fast, server.stop_at_once):
                before = len(ledger.positions)
                wait_for(lambda before=before: len(ledger.positions) > before + 100, 30, "acknowledgements")
                refused = ledger.refused[503]
                stop()
                wait_for(lambda refused=refused: ledger.refused[503] > refused + 16, 30, "refusals")
                assert ops.get("/healthz").status_code == 200
                check_not_ready(ops.get("/readyz"))
                assert ops.get("/api/v1/onboard/funnel?hours=1").status_code == 503
                server.start()
                before = len(ledger.positions)
                wait_for(lambda before=before: len(ledger.positions) > before + 100, 30, "recovery")
        assert ledger.unanswered == 0, "the service itself must not have gone"
        assert set(ledger.refused) == {503}
        assert ops.get("/readyz").status_code == 200
        audit(server.url, ledger)


def is_answered(ops: RunningOps, path: str) -> bool:
    """Whether it does within a second."""
    try:
        return ops.http.get(path, timeout=1).is_success
    except httpx.ReadTimeout:
        return False


def stored(ops: RunningOps) -> int:
    with ops.database.read() as connection:
        return connection.execute(select(func.count()).select_from(webhook_events)).scalar_one()


def check_not_ready(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["database"]) == (503, "unavailable")


def check_refused(answers: Iterable[httpx.Response]) -> None:
    for answer in answers:
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["content-type"] == "application/problem+json"


def read_until_done(ops: RunningOps, waiting: list["Future[Any]"]) -> int:
    """Read all the while the others wait; fails when a read has to wait too. Returns how many were made."""
    reads = 0
    while wait(waiting, timeout=0.05).not_done:
        for path in ("/api/v1/onboard/funnel", "/api/v1/desk/tickets", "/readyz"):
            began = time.monotonic()
            ops.get(path)
            assert time.monotonic() - began < READ_SECONDS, f"{path} had to wait for the writer"
            reads += 1
    return reads
