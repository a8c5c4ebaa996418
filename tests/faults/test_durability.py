"""A 2xx means: on disk. Proven by killing the service, by watching its system calls, by breaking its disk."""

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from projections.database.database import Database
from tests.faults.disk_shortage import kinds, shortage
from tests.faults.ops_process import OpsProcess, new_token, ops_process
from tests.faults.portal_load import Ledger, audit, portals, wait_for
from tests.faults.stored_events import stored_ids
from tests.faults.system_calls import Call, calls, strace
from tests.running_ops import SOURCE, event
from tests.servers.process import free_port

# Slow machines: every test here starts a service, some more than one.
pytestmark = pytest.mark.timeout(300)

KILLS = 4
PORTALS = 16
FSYNC_FAILURES = range(8, 12)


def test_what_was_acknowledged_survives_kill_9(database_url: str, tmp_path: Path) -> None:
    port, token = free_port(), new_token(database_url)
    moment = random.Random(9)
    with ExitStack() as last, portals(f"http://127.0.0.1:{port}", PORTALS) as ledger:
        for _ in range(KILLS):
            with ops_process(database_url, tmp_path, port=port, token=token) as ops:
                enough = len(ledger.positions) + 50
                wait_for(lambda enough=enough: len(ledger.positions) > enough, 60, "acknowledgements")
                time.sleep(moment.uniform(0, 0.2))
                ops.kill()
        last.enter_context(ops_process(database_url, tmp_path, port=port, token=token))
    audit(database_url, ledger)
    assert ledger.unanswered > 0
    assert len(ledger.positions) == len(ledger.attempted)


def test_both_connections_of_sqlite_say_full_and_wal(sqlite_url: str) -> None:
    with Database(sqlite_url) as database:
        for transaction in (database.write, database.read):
            with transaction() as connection:
                assert _pragma(connection, "journal_mode") == "wal"
                assert _pragma(connection, "synchronous") == 2, "2 is FULL"


def test_postgresql_does_not_commit_asynchronously(postgresql_url: str) -> None:
    with Database(postgresql_url) as database, database.write() as connection:
        for name in ("synchronous_commit", "fsync", "full_page_writes"):
            assert connection.execute(text(f"SHOW {name}")).scalar() == "on", name


def test_the_log_is_synced_between_reading_a_request_and_its_2xx(sqlite_url: str, tmp_path: Path) -> None:
    wal = f"{make_url(sqlite_url).database}-wal"
    trace = _trace_under_load(sqlite_url, tmp_path)
    _check_order(trace, DurableStore(lambda label: label == wal, SOURCE, is_sync))


def test_postgresql_has_committed_between_reading_a_request_and_its_2xx(
    postgresql_url: str, tmp_path: Path
) -> None:
    server = f"->127.0.0.1:{make_url(postgresql_url).port}]"
    trace = _trace_under_load(postgresql_url, tmp_path)
    # A parameter follows its length, and 32 is a space.
    _check_order(trace, DurableStore(lambda label: label.endswith(server), r"\\0 ", is_commit))


def test_a_failed_fsync_acknowledges_nothing(sqlite_url: str, tmp_path: Path) -> None:
    wal = f"{make_url(sqlite_url).database}-wal"
    when = f"{FSYNC_FAILURES.start}..{FSYNC_FAILURES.stop - 1}"
    under = [
        *(strace(), "-f", "--seccomp-bpf", "-qq", "-yy", "-o", str(tmp_path / "trace")),
        *("-P", wal, "-e", "trace=fdatasync,fsync"),
        *("-e", f"inject=fdatasync,fsync:error=EIO:when={when}"),
    ]
    ledger = Ledger()
    with ops_process(sqlite_url, tmp_path, under=under) as ops:
        refused = [sent for sent in _events(30) if not _acknowledged(ops, sent, ledger)]
        injected = (tmp_path / "trace").read_text().count("(INJECTED)")
        assert len(refused) == injected == len(FSYNC_FAILURES)
        assert stored_ids(sqlite_url).isdisjoint(sent["event_id"] for sent in refused)
        assert all(_acknowledged(ops, sent, ledger) for sent in refused)
        ops.kill()
    audit(sqlite_url, ledger)


@pytest.mark.parametrize("kind", kinds())
def test_without_space_nothing_is_acknowledged_and_reads_go_on(
    kind: str, sqlite_template: Path, tmp_path: Path
) -> None:
    ledger = Ledger()
    with shortage(kind, tmp_path) as space:
        file = space.folder / "ops.db"
        file.write_bytes(sqlite_template.read_bytes())
        with ops_process(f"sqlite:///{file}", tmp_path) as ops:
            assert all(_acknowledged(ops, sent, ledger) for sent in _events(5))
            space.begin(ops)
            # What was given out before, such as free pages of the log, may still take a few.
            refused = [sent for sent in _events(40, padding=8_000) if not _acknowledged(ops, sent, ledger)]
            assert len(refused) >= 20
            assert f"\nops_database_refusals_total {len(refused)}.0\n" in ops.get("/metrics").text
            _check_reads(ops)
            space.end(ops)
            assert all(_acknowledged(ops, sent, ledger) for sent in refused)
            ops.kill()
        audit(f"sqlite:///{file}", ledger)


def test_a_full_disk_of_postgresql_is_a_503(postgresql_url: str, tmp_path: Path) -> None:
    """The server's own error, raised where it would raise it; a volume of its own to fill it has not."""
    ledger = Ledger()
    with ops_process(postgresql_url, tmp_path) as ops:
        [before, during] = _events(2)
        assert _acknowledged(ops, before, ledger)
        _run(postgresql_url, _NO_SPACE)
        assert not _acknowledged(ops, during, ledger)
        assert "\nops_database_refusals_total 1.0\n" in ops.get("/metrics").text
        _check_reads(ops)
        _run(postgresql_url, "DROP FUNCTION no_space CASCADE")
        assert _acknowledged(ops, during, ledger)
    audit(postgresql_url, ledger)


_NO_SPACE = """
    CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER no_space BEFORE INSERT ON webhook_events EXECUTE FUNCTION no_space()
"""


def _trace_under_load(database_url: str, folder: Path) -> list[Call]:
    names = "read,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,fdatasync,fsync"
    # Long enough for what one commit writes at once, so that every event's id can be found in it.
    shown = ("-qq", "-yy", "-s", "20000", "-o", str(folder / "trace"), "-e", f"trace={names}")
    with (
        ops_process(database_url, folder, under=[strace(), "-f", "--seccomp-bpf", *shown]) as ops,
        portals(ops.url, PORTALS) as ledger,
    ):
        wait_for(lambda: len(ledger.positions) > 200, 60, "acknowledgements")
    audit(database_url, ledger)
    return list(calls(folder / "trace"))


class DurableStore(NamedTuple):
    """How a trace shows that an event went into a database, and that it is safe there."""

    is_mine: Callable[[str], bool]
    """By the name of the file or socket."""
    before_id: str
    is_safe: Callable[[Call], bool]


def is_sync(call: Call) -> bool:
    """SQLite's log was flushed to the disk, without an error."""
    return call.name in ("fdatasync", "fsync") and call.succeeded


def is_commit(call: Call) -> bool:
    """PostgreSQL said that a transaction is committed."""
    return call.name.startswith("recv") and r"COMMIT\0" in call.text


def _check_order(trace: list[Call], store: DurableStore) -> None:
    """For each event with a 2xx: it went into the database after its request was read, and the database was
    safe, by a call that began after that, before the answer began."""
    read: dict[str, int] = {}
    answer: dict[str, int] = {}
    written: dict[str, int] = {}
    safe: list[Call] = []
    events = 0
    for call in trace:
        if store.is_mine(call.label):
            safe += [call] if store.is_safe(call) else []
            found = re.findall(f"{store.before_id}([0-9a-f]{{32}})", call.text)
            written = dict.fromkeys(found, call.ended) | written
        elif call.label.startswith("TCP"):
            if "POST /api/v1/webhooks/onboard" in call.text:
                read[call.label] = call.ended
            if "HTTP/1.1 20" in call.text:
                answer[call.label] = call.begun
            for event_id, status in _RECEIPT.findall(call.text):
                row = written.get(event_id, call.ended)
                assert status == "duplicate" or read[call.label] < row
                saved = any(row < each.begun and each.ended < answer[call.label] for each in safe)
                assert saved, f"{event_id} was acknowledged before it was on disk (trace line {call.begun})"
                events += 1
    assert events > 200


_RECEIPT = re.compile(
    r'event_id\\":\\"([0-9a-f]{32})\\",\\"position\\":\d+,\\"status\\":\\"(created|duplicate)'
)


def _events(count: int, padding: int = 0) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield event("domain.validated", f"s{number % 3}", data={"padding": "x" * padding})


def _acknowledged(ops: OpsProcess, sent: dict[str, Any], ledger: Ledger) -> bool:
    """Send it; False when the service asked to come again, as it must when it cannot store it."""
    ledger.attempted[sent["event_id"]] = sent
    answer = ops.send(sent)
    if answer.status_code == 503:
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["content-type"] == "application/problem+json"
        return False
    assert answer.status_code == 201, answer.text
    ledger.acknowledge(sent, answer.json()["status"], answer.json()["position"])
    return True


def _check_reads(ops: OpsProcess) -> None:
    for path in ("/api/v1/onboard/funnel?hours=1", "/api/v1/events?limit=5", "/readyz"):
        began = time.monotonic()
        assert ops.get(path).status_code == 200, path
        assert time.monotonic() - began < 3, path


def _run(url: str, statements: str) -> None:
    with Database(url) as database, database.write() as connection:
        connection.exec_driver_sql(statements)


def _pragma(connection: Connection, name: str) -> Any:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar()
