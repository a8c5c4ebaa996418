"""ops-rebuild-projections as scripts and people run it: exit codes, JSON lines, one clear line on failure."""

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from projections.database.database import Database
from projections.database.tables import onboard_sessions, webhook_events
from tests.deliveries import delivery, session_row, session_rows, store
from tests.servers import forked

ROOT = Path(__file__).resolve().parents[2]


def run(url: str, *arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OPS_DATABASE_URL": url, "NO_COLOR": "1"}
    return forked.run("projections.rebuild.__main__", arguments, environment, folder)


def lines(done: subprocess.CompletedProcess[str]) -> list[Any]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def spoil(database: Database, **values: Any) -> None:
    with database.write() as connection:
        connection.execute(update(onboard_sessions).values(values))


def make_unreadable(database: Database) -> None:
    """Data that is no object: ingress never stores it, and the fold cannot read it."""
    with database.write() as connection:
        broken = update(webhook_events).where(webhook_events.c.event_type == "onboarding.failed")
        connection.execute(broken.values(payload='{"data":[1]}'))


one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what happens before a database is asked: starting the command takes its time."""


@pytest.fixture
def filled(database: Database) -> Database:
    """Two sessions."""
    store(database, delivery("onboarding.failed", "s1"), delivery("account.created", "s2"))
    return database


def test_a_rebuild_for_scripts(filled: Database, database_url: str) -> None:
    spoil(filled, domain="wrong.pt")
    done = run(database_url, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    *progress, result = lines(done)
    phases = ["replay", "indexes", "cutover", "tickets"]
    assert progress == [{"phase": phase, "done": 2, "total": 2} for phase in phases]
    facts = {key: result[key] for key in ("result", "events", "sessions", "position")}
    assert facts == {"result": "rebuilt", "events": 2, "sessions": 2, "position": 2}
    assert {row["domain"] for row in session_rows(filled)} == {None}


@one_database
def test_a_rebuild_for_people(filled: Database, database_url: str) -> None:
    done = run(database_url)
    assert done.returncode == 0
    assert done.stdout.startswith("Rebuilt 2 sessions from 2 events, up to position 2.")
    quiet = run(database_url, "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


@one_database
def test_a_terminal_is_shown_a_bar_that_goes_again(filled: Database, database_url: str) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        done = subprocess.run(
            [sys.executable, "-m", "projections.rebuild.__main__"],
            env={**os.environ, "OPS_DATABASE_URL": database_url, "TERM": "xterm"},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=theirs,
            timeout=60,
            check=True,
        )
        os.close(theirs)
        shown = ""
        with suppress(OSError):  # its end: nobody has it open any more
            while part := terminal.read(4096):
                shown += part.decode()
    assert done.stdout.startswith(b"Rebuilt 2 sessions from 2 events")
    assert re.search(r"tickets.*2/2 events", shown)
    assert shown.endswith("\x1b[2K"), "the line is emptied"


@one_database
def test_verify_says_clean(filled: Database, database_url: str) -> None:
    done = run(database_url, "--verify", "--json")
    assert done.returncode == 0
    *progress, result = lines(done)
    assert progress == [{"phase": phase, "done": 2, "total": 2} for phase in ("verify", "tables", "SQL")]
    assert result["result"] == "clean"
    assert run(database_url, "--verify").stdout.startswith("Every row is the fold of the log.")


def test_verify_says_what_differs_and_changes_nothing(filled: Database, database_url: str) -> None:
    spoil(filled, domain="wrong.pt")
    done = run(database_url, "--verify", "--json")
    assert done.returncode == 1
    found = [line["difference"] for line in lines(done) if "difference" in line]
    assert found == [
        {"subject": name, "field": "domain", "stored": "wrong.pt", "expected": None} for name in ("s1", "s2")
    ]
    assert (lines(done)[-1]["result"], lines(done)[-1]["differences"]) == ("differences", 2)
    for_people = run(database_url, "--verify")
    assert for_people.returncode == 1
    assert "s1: domain is 'wrong.pt', the log says None" in for_people.stdout
    assert {row["domain"] for row in session_rows(filled)} == {"wrong.pt"}


def test_one_session(filled: Database, database_url: str) -> None:
    spoil(filled, domain="wrong.pt")
    assert run(database_url, "--session", "s1").returncode == 0
    assert session_row(filled, "s1")["domain"] is None
    assert session_row(filled, "s2")["domain"] == "wrong.pt"


@one_database
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--session", "nobody"], "nobody"),
        (["--verify", "--session", "s1"], "do not go together"),
        (["--sideways"], "--sideways"),
    ],
)
def test_wrong_use_is_exit_code_2(
    filled: Database, database_url: str, arguments: list[str], complaint: str
) -> None:
    done = run(database_url, *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_rebuild_is_exit_code_2(filled: Database, database_url: str) -> None:
    with filled.alone("rebuild"):
        done = run(database_url)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "another rebuild is running" in done.stderr


@one_database
def test_a_fold_that_raises_is_exit_code_3_and_one_line(filled: Database, database_url: str) -> None:
    before = session_rows(filled)
    make_unreadable(filled)
    for arguments in ([], ["--session", "s1"], ["--json"]):
        done = run(database_url, *arguments)
        assert done.returncode == 3, done.stderr
        assert done.stderr.strip().count("\n") == 0
        assert "event 1 (onboarding.failed" in done.stderr
        assert "session s1" in done.stderr
    assert session_rows(filled) == before
    assert run(database_url, "--verify").returncode == 1


def test_a_database_without_our_schema_is_exit_code_2(empty_database_url: str) -> None:
    done = run(empty_database_url)
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0
    assert "ops-service migrate" in done.stderr


@pytest.mark.parametrize(
    "url", ["mysql://localhost/x", "sqlite://", "nonsense", "postgresql://127.0.0.1:1/x"]
)
def test_a_database_that_cannot_be_used_is_one_line(url: str) -> None:
    done = run(url)
    assert done.returncode in (2, 3)
    assert done.stderr.startswith("ops-rebuild-projections: ")
    assert done.stderr.strip().count("\n") == 0


def test_an_env_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"OPS_PORT=\xff")
    done = run("sqlite:///ops.db", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"ops-rebuild-projections: {tmp_path / '.env'} cannot be read: ")
    assert done.stderr.strip().count("\n") == 0
