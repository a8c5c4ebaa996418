"""Each option of ops-rebuild-projections: what it says, what it changes, how it ends."""

from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy import inspect as inspect_schema

from projections.database.database import Database
from projections.database.tables import (
    metadata,
    onboard_sessions,
    projection_state,
    quarantined_events,
    webhook_events,
)
from projections.onboarding import fingerprint, state
from projections.rebuild import rebuild, repair, scan
from tests.deliveries import delivery, session_row, store
from tests.integration.test_rebuild_cli import lines, make_unreadable, one_database, run, spoil
from tests.integration.test_rebuild_resumed import Killed, killed_at
from tests.rebuilds import differences, fill, no_progress
from tests.running_ops import RunningOps


@pytest.fixture
def filled(database: Database) -> Database:
    """Two sessions, one of them failed."""
    store(database, delivery("onboarding.failed", "s1"), delivery("account.created", "s2"))
    return database


def everything(database: Database) -> dict[str, list[Any]]:
    """Every table there is, shadows included, with all its rows."""
    with database.read() as connection:
        names = inspect_schema(connection).get_table_names()
        found: dict[str, list[Any]] = {name: [] for name in names}
        for table in metadata.sorted_tables:
            query = select(table).order_by(*table.primary_key)
            found[table.name] = [tuple(row) for row in connection.execute(query)]
    return found


def built_by(database: Database) -> str | None:
    with database.read() as connection:
        return state.stored_fingerprint(connection)


def build_by_older_logic(database: Database) -> None:
    with database.write() as connection:
        state.claim(connection)
        connection.execute(update(projection_state).values(fingerprint="older"))


def test_a_dry_run_shows_rows_and_stages_and_changes_nothing(filled: Database, database_url: str) -> None:
    spoil(filled, current_stage="started")
    before = everything(filled)
    done = run(database_url, "--dry-run", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = lines(done)
    assert [line["difference"] for line in told if "difference" in line] == [
        {"subject": "s1", "field": "current_stage", "stored": "started", "expected": "failed"},
        {"subject": "s2", "field": "current_stage", "stored": "started", "expected": "account_created"},
    ]
    assert (told[-1]["result"], told[-1]["sessions"], told[-1]["differences"]) == ("dry-run", 2, 2)
    assert told[-1]["stages"] == {"now": {"started": 2}, "rebuilt": {"failed": 1, "account_created": 1}}
    assert everything(filled) == before


@one_database
def test_a_dry_run_for_people(filled: Database, database_url: str) -> None:
    spoil(filled, current_stage="started")
    done = run(database_url, "--dry-run")
    assert done.returncode == 0
    assert "s1: current_stage is 'started', the log says 'failed'" in done.stdout
    table = [line.split() for line in done.stdout.splitlines()]
    assert ["stage", "now", "rebuilt"] in table
    assert ["started", "2", "0"] in table
    assert ["failed", "0", "1"] in table
    assert "A rebuild would change 2 sessions. Nothing was changed." in done.stdout


def test_a_sample_compares_so_many_sessions(filled: Database, database_url: str) -> None:
    clean = run(database_url, "--verify", "--sample", "1")
    assert clean.stdout.startswith("Every row of the sample is the fold of the log.")
    spoil(filled, domain="wrong.pt")
    before = everything(filled)
    done = run(database_url, "--verify", "--sample", "1", "--json")
    assert done.returncode == 1
    assert len([line for line in lines(done) if "difference" in line]) == 1
    assert (lines(done)[-1]["differences"], lines(done)[-1]["sample"]) == (1, 1)
    assert len(lines(run(database_url, "--verify", "--sample", "9", "--json"))) == 2 + 1
    assert everything(filled) == before, "a sample says nothing about the whole and is not noted"


@pytest.mark.parametrize("chunk", [1, 7, 20_000])
def test_verify_finds_the_same_in_ranges_of_any_size(
    database: Database, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(scan, "RANGE_EVENTS", chunk)
    fill(database, 12)
    assert differences(database) == []
    ghosts = ["a-first", "s3-between", "zz-last"]
    with database.write() as connection:
        row = session_row(database, "s0")
        connection.execute(insert(onboard_sessions), [row | {"session_id": ghost} for ghost in ghosts])
    found = [subject for subject, field in differences(database) if field == "row"]
    assert sorted(subject for subject in found if not subject.startswith("funnel_daily")) == ghosts


def test_if_stale_rebuilds_only_what_older_logic_built(filled: Database, database_url: str) -> None:
    run(database_url)
    spoil(filled, domain="wrong.pt")
    done = run(database_url, "--if-stale", "--json")
    assert (done.returncode, [line["result"] for line in lines(done)]) == (0, ["current"])
    assert session_row(filled, "s1")["domain"] == "wrong.pt"
    build_by_older_logic(filled)
    done = run(database_url, "--if-stale", "--json")
    assert (done.returncode, lines(done)[-1]["result"]) == (0, "rebuilt")
    assert session_row(filled, "s1")["domain"] is None
    assert built_by(filled) == lines(done)[-1]["fingerprint"] == fingerprint.fingerprint()


def test_keep_going_parks_what_raises_and_a_retry_takes_it_in(filled: Database, database_url: str) -> None:
    good = '{"data":{"code":"late"}}'
    make_unreadable(filled)
    spoil(filled, domain="wrong.pt")
    done = run(database_url, "--keep-going", "--json")
    assert done.returncode == 1
    assert (lines(done)[-1]["result"], lines(done)[-1]["quarantined"]) == ("rebuilt", 1)
    assert [(row[0], row[1]) for row in everything(filled)["quarantined_events"]] == [(1, "s1")]
    assert session_row(filled, "s2")["domain"] is None
    assert run(database_url, "--verify").returncode == 0, "what is quarantined is no difference"

    still = run(database_url, "--retry-quarantined", "--json")
    assert (still.returncode, lines(still)[-1]["quarantined"]) == (1, 1)
    assert still.stderr.startswith("event 1 of session s1 is quarantined: ")
    assert still.stderr.count("\n") == 1

    with filled.write() as connection:
        connection.execute(update(webhook_events).where(webhook_events.c.position == 1).values(payload=good))
    mended = run(database_url, "--retry-quarantined", "--json")
    assert (mended.returncode, mended.stderr) == (0, "")
    assert (lines(mended)[-1]["sessions"], lines(mended)[-1]["quarantined"]) == (1, 0)
    assert everything(filled)["quarantined_events"] == []
    assert session_row(filled, "s1")["failure_code"] == "late"
    assert run(database_url, "--verify").returncode == 0


def test_where_the_fold_raises_keeping_going_is_advised(filled: Database, database_url: str) -> None:
    make_unreadable(filled)
    for mode in ("--verify", "--dry-run"):
        assert "Mend the fold, or run ops-rebuild-projections --keep-going" in run(database_url, mode).stdout
    spoil(filled, domain="wrong.pt")
    assert run(database_url, "--keep-going").returncode == 1
    spoil(filled, domain="wrong.pt")
    assert "1 difference. Run ops-rebuild-projections to mend them." in run(database_url, "--verify").stdout


def test_a_rebuild_without_keep_going_leaves_quarantine_and_rows(filled: Database, database_url: str) -> None:
    make_unreadable(filled)
    assert run(database_url, "--keep-going").returncode == 1
    before = everything(filled)
    assert run(database_url).returncode == 3
    after = everything(filled)
    for table in (onboard_sessions, quarantined_events):
        assert after[table.name] == before[table.name]


def test_what_a_killed_keep_going_left_out_is_not_passed_over(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its shadow lacks an event that nobody but it knows to be missing: the next rebuild must begin anew."""
    monkeypatch.setattr(scan, "RANGE_EVENTS", 1)
    make_unreadable(filled)
    before = session_row(filled, "s1")
    with pytest.raises(Killed):
        rebuild.rebuild(filled, killed_at(1), keep_going=True)
    with pytest.raises(repair.RebuildFailed, match="session s1"):
        rebuild.rebuild(filled, no_progress)
    assert session_row(filled, "s1") == before


@one_database
def test_a_retry_of_nothing(filled: Database, database_url: str) -> None:
    done = run(database_url, "--retry-quarantined")
    assert done.returncode == 0
    assert done.stdout.startswith("Folded 0 sessions again. Events that are still quarantined: 0.")


def test_the_fingerprint_needs_no_database() -> None:
    done = run("sqlite:////nowhere/at/all.db", "--fingerprint")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{fingerprint.fingerprint()}\n", "")
    done = run("sqlite:////nowhere/at/all.db", "--fingerprint", "--json")
    assert lines(done) == [{"fingerprint": fingerprint.fingerprint()}]


@one_database
@pytest.mark.parametrize(
    "arguments",
    [
        ("--verify", "--dry-run"),
        ("--verify", "--keep-going"),
        ("--dry-run", "--if-stale"),
        ("--retry-quarantined", "--verify"),
        ("--retry-quarantined", "--session", "s1"),
        ("--session", "s1", "--keep-going"),
        ("--session", ""),
        ("--sample", "5"),
        ("--dry-run", "--sample", "5"),
        ("--verify", "--sample", "0"),
        ("--verify", "--sample", "some"),
        ("s1",),
    ],
    ids=" ".join,
)
def test_wrong_combinations_are_exit_code_2_and_change_nothing(
    filled: Database, database_url: str, arguments: tuple[str, ...]
) -> None:
    spoil(filled, domain="wrong.pt")
    before = everything(filled)
    done = run(database_url, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert everything(filled) == before


@one_database
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--verify --dry-run", "--verify and --dry-run do not go together"),
        ("--session= --if-stale", "--session and --if-stale do not go together"),
        ("--keep-going --retry-quarantined", "--retry-quarantined and --keep-going do not go together"),
        ("--fingerprint --verify", "--verify and --fingerprint do not go together"),
        ("--fingerprint --sample 5", "--sample goes with --verify only"),
        ("--dry-run --sample 5", "--sample goes with --verify only"),
        ("--session=", "--session is empty; it takes the id of a session"),
    ],
)
def test_a_wrong_combination_is_named(database_url: str, arguments: str, complaint: str) -> None:
    done = run(database_url, *arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    told = " ".join(done.stderr.replace("│", " ").split())
    assert complaint in told


def test_the_last_verify_shows_in_readyz_and_metrics(ops: RunningOps, database_url: str) -> None:
    store(ops.database, delivery("account.created", "s1"), delivery("account.created", "s2"))
    assert run(database_url, "--verify", "--sample", "1").returncode == 0
    assert ops.get("/readyz")["verified_at"] is None
    for wrong, code in ((None, 0), ("wrong.pt", 1)):
        spoil(ops.database, domain=wrong)
        assert run(database_url, "--verify", "--quiet").returncode == code
        readiness = ops.get("/readyz")
        assert readiness["verified_differences"] == 2 * code
        assert readiness["verified_at"] is not None
        metrics = ops.http.get("/metrics").text
        assert f"\nops_projection_verified_differences {2.0 * code}\n" in metrics
        [line] = [line for line in metrics.splitlines() if line.startswith("ops_projection_verified_time")]
        assert float(line.split()[1]) > 1_700_000_000


def test_a_service_of_another_version_that_writes_makes_the_rows_stale(
    filled: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(database_url)
    store(filled, delivery("infra.synced", "s2"))
    assert built_by(filled) == fingerprint.fingerprint()
    with monkeypatch.context() as older:
        older.setattr(state, "fingerprint", lambda: "older")
        store(filled, delivery("onboarding.completed", "s2", 1))
    assert built_by(filled) == state.MIXED
    store(filled, delivery("onboarding.completed", "s2", 2))
    assert built_by(filled) == state.MIXED
    assert lines(run(database_url, "--if-stale", "--json"))[-1]["result"] == "rebuilt"
    assert built_by(filled) == fingerprint.fingerprint()


def test_rows_of_older_logic_show_in_readyz_and_metrics(ops: RunningOps, database_url: str) -> None:
    build_by_older_logic(ops.database)
    assert (ops.get("/readyz")["projection"], ops.get("/readyz")["fingerprint"]) == ("stale", "older")
    assert "\nops_projection_stale 1.0\n" in ops.http.get("/metrics").text
    assert run(database_url, "--if-stale", "--quiet").returncode == 0
    assert ops.get("/readyz")["projection"] == "current"
    assert ops.get("/readyz")["rebuilt_at"] is not None
    assert "\nops_projection_stale 0.0\n" in ops.http.get("/metrics").text


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_may_only_read_can_verify(filled: Database, database_url: str) -> None:
    """A standby refuses in the same way. SQLite's readers write, too, beside the file."""
    reading = f"{database_url}?options=-cdefault_transaction_read_only=on"
    assert run(reading, "--verify").stdout.startswith("Every row is the fold of the log.")
    spoil(filled, domain="wrong.pt")
    done = run(reading, "--verify")
    assert (done.returncode, done.stdout.splitlines()[-1].split(". ")[0]) == (1, "2 differences")
    assert done.stderr.startswith("ops-rebuild-projections: /readyz will not tell of this verify: cannot ")
    assert len(done.stderr.splitlines()) == 1
