"""A set-up that cannot work is told in a line that says what to mend, never by a traceback or a 500."""

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.engine import make_url

from ops_service.settings import load
from portal_hooks.outbox_cli import main as outbox
from projections.database import migrate
from projections.database.database import Database, DatabaseMisconfigured, DatabaseUnavailable
from projections.database.tables import metadata, webhook_events
from projections.settings import BadSettings
from tests.deliveries import delivery, store
from tests.running_ops import event, running_ops
from tests.servers import forked
from tests.servers.process import free_port
from tests.servers.webhook_receiver import SECRET

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
END_SESSIONS = text(
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = CAST(:role AS text)"
)


@contextmanager
def as_nobody() -> Iterator[None]:
    """With the rights of a user that owns nothing; who runs the tests without being root has none either."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


def refusal_of(url: str) -> str:
    """Why nothing can be read from the database."""
    with pytest.raises(DatabaseMisconfigured) as raised, Database(url) as database, database.read():
        pass
    return str(raised.value)


def refusal(file: Path) -> str:
    """Why the file cannot be the database."""
    return refusal_of(f"sqlite:///{file}")


@contextmanager
def role_of_its_own(administered: Database) -> Iterator[str]:
    """The name of a role that may do everything, with the password "own"; gone after the block."""
    role = f"ops_test_{secrets.token_hex(6)}"
    with administered.write() as connection:
        connection.execute(text(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD 'own'"))
    try:
        yield role
    finally:
        with administered.write() as connection:
            connection.execute(text(f"DROP ROLE {role}"))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may read, and nobody else may write to; pytest's own lie in closed ones."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o700)


def test_what_cannot_be_a_sqlite_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("This is no database, whatever its name may say.")
    assert refusal(tmp_path / "text").endswith("file is not a database")
    assert refusal(tmp_path) == f"{tmp_path} is a folder; the SQLite URL must name a file"
    assert refusal(tmp_path / "text" / "ops.db").endswith("text cannot be used: File exists")


def test_parameters_of_a_sqlite_url_are_refused_before_a_file_is_made(tmp_path: Path) -> None:
    refused = refusal_of(f"sqlite:///{tmp_path}/ops.db?timeout=3&foo=1")
    assert (
        refused
        == "OPS_DATABASE_URL: a SQLite URL ends with the file's name; leave out the ? and what follows"
    )
    assert list(tmp_path.iterdir()) == []


def test_what_this_user_may_not_write_is_told(open_folder: Path) -> None:
    database = open_folder / "ops.db"
    with Database(f"sqlite:///{database}") as made, made.read():
        pass
    open_folder.chmod(0o555)
    database.chmod(0o444)
    with as_nobody():
        assert refusal(database).startswith(f"{open_folder} is not writable for this user")
        assert refusal(open_folder / "var" / "ops.db").endswith("var cannot be used: Permission denied")
    open_folder.chmod(0o777)
    with as_nobody():
        assert refusal(database).startswith(f"{database} is not writable for this user")
    open_folder.chmod(0)
    with as_nobody():
        assert refusal(database).endswith("cannot be used: Permission denied")


def test_a_spool_of_another_user_is_told(open_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (open_folder / "lanes").mkdir(mode=0)
    for closed in (open_folder / "lanes", open_folder):
        closed.chmod(0)
        with as_nobody():
            assert outbox(["--spool", str(open_folder), "status"]) == 2
        told = capsys.readouterr().err
        assert told == f"ops-portal-outbox: {closed} is closed to this user; run it as the portal's user\n"


def test_without_its_tables_the_service_answers_503_and_is_watched_all_the_same(database_url: str) -> None:
    with running_ops(database_url) as ops:
        assert "ops_database_up 1.0" in ops.http.get("/metrics").text
        with ops.database.write() as connection:
            metadata.drop_all(connection)
        scraped = ops.http.get("/metrics").raise_for_status().text
        answers = [ops.http.get(path) for path in ("/api/v1/onboard/funnel", "/readyz")]
        answers += [
            ops.send(event("a", "s1")),
            ops.send(event("a", "s 1")),
            ops.send_batch([event("a", "s1")]),
        ]
    assert [answer.status_code for answer in answers] == [503] * 5
    assert "ops_database_up 0.0" in scraped
    assert "ops_commit_group_events_count" in scraped
    assert "ops_projection_stale" not in scraped
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}


@contextmanager
def serving(url: str, folder: Path, *arguments: str) -> Iterator[IO[str]]:
    """What the service writes to standard error, until the block ends it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPS_DATABASE_URL": url}
    environment["OPS_WEBHOOK_SECRETS"] = f"portal={SECRET}"
    command = [sys.executable, "-m", "ops_service", "serve", "--port", str(free_port()), *arguments]
    with subprocess.Popen(command, env=environment, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            yield process.stderr
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()


def test_serving_without_migrating_says_what_is_missing(empty_database_url: str, tmp_path: Path) -> None:
    with Database(empty_database_url) as made, made.read():
        pass
    with serving(empty_database_url, tmp_path, "--no-migrate") as told:
        assert told.readline() == "The database has no current schema: run `ops-service migrate`.\n"


def test_each_line_of_the_log_has_its_time_and_level(sqlite_url: str, tmp_path: Path) -> None:
    line = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING|ERROR) \S.*\n")
    with serving(sqlite_url, tmp_path) as told:
        lines = [told.readline() for _ in range(4)]
    assert "Uvicorn running" in lines[-1]
    assert [text for text in lines if not line.fullmatch(text)] == []


def ops_command(folder: Path, url: str, module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command of ours, run in a folder."""
    return forked.run(module, arguments, {**os.environ, "OPS_DATABASE_URL": url, "TERM": "dumb"}, folder)


REBUILD = "projections.rebuild.__main__"


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("ops-rebuild-projections", (REBUILD,)),
        ("ops-rebuild-projections", (REBUILD, "--verify")),
        ("ops-rebuild-projections", (REBUILD, "--verify", "--sample", "5")),
        ("ops-rebuild-projections", (REBUILD, "--dry-run")),
        ("ops-rebuild-projections", (REBUILD, "--session", "s1")),
        ("ops-rebuild-projections", (REBUILD, "--retry-quarantined")),
        ("ops-rebuild-projections", (REBUILD, "--if-stale")),
        ("ops-service", ("ops_service", "check")),
        ("ops-service", ("ops_service", "serve", "--no-migrate", "--port", "0")),
    ],
)
def test_what_only_reads_or_mends_makes_no_database(
    program: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    for url, file in (("sqlite:///mistyped/ops.db", "mistyped/ops.db"), ("sqlite:///no.db", "no.db")):
        done = ops_command(tmp_path, url, *command)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"{program}: there is no database at {tmp_path / file}, which OPS_DATABASE_URL names;"
            " `ops-service migrate` makes a new one\n"
        )
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        ({"database": "mistyped"}, 'database "mistyped" does not exist'),
        ({"username": "mistyped"}, '"mistyped"'),
        ({"password": "mis-typed"}, "authentication failed for user"),
        ({"query": {"sslmod": "require"}}, 'invalid connection option "sslmod"'),
        ({"query": {"sslmode": "on"}}, 'invalid sslmode value: "on"'),
        ({"query": {"connect_timeout": "soon"}}, "bad value for connect_timeout: 'soon'"),
        ({"host": None, "query": {"host": "a,b,c", "port": "1,2"}}, "number of hosts and ports"),
        ({"host": "word@127.0.0.1"}, "write an @ in the password as %40"),
    ],
)
def test_what_postgresql_refuses_is_told(mistake: dict[str, Any], told: str, postgres_server: str) -> None:
    url = make_url(postgres_server).set(**mistake)
    refused = refusal_of(url.render_as_string(hide_password=False))
    assert "OPS_DATABASE_URL" in refused
    assert told in refused
    assert not any(secret in refused for secret in (str(url.password), "word@"))


@pytest.mark.parametrize("command", [(REBUILD,), ("ops_service", "check")], ids=" ".join)
def test_a_mistyped_postgresql_url_is_exit_code_2(
    command: tuple[str, ...], postgres_server: str, tmp_path: Path
) -> None:
    url = make_url(postgres_server).set(database="mistyped").render_as_string(hide_password=False)
    done = ops_command(tmp_path, url, *command)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert 'database "mistyped" does not exist' in done.stderr


def test_a_running_service_waits_until_it_is_let_in_again(postgresql_url: str) -> None:
    with Database(postgresql_url) as administered, role_of_its_own(administered) as role:
        url = make_url(postgresql_url).set(username=role, password="own")
        with running_ops(url.render_as_string(hide_password=False)) as ops:
            for allowance, status in (("NOLOGIN", 503), ("LOGIN", 201)):
                with administered.write() as connection:
                    connection.execute(text(f"ALTER ROLE {role} {allowance}"))
                    connection.execute(END_SESSIONS, {"role": role})
                assert ops.send(event("a", "s1")).status_code == status
            assert ops.get("/readyz")["status"] == "ready"


@pytest.mark.parametrize("command", ["migrate", "user list", "token create --name wall"])
def test_who_makes_a_sqlite_file_says_so_once(command: str, tmp_path: Path) -> None:
    url = "sqlite:///var/ops.db"
    first = ops_command(tmp_path, url, "ops_service", *command.split())
    assert (first.returncode, first.stderr) == (0, f"Made a new database: {tmp_path / 'var/ops.db'}\n")
    assert ops_command(tmp_path, url, "ops_service", "migrate").stderr == ""
    checked = ops_command(tmp_path, url, "ops_service", "check")
    assert (checked.returncode, "older logic" in checked.stdout) == (1, False)


def test_a_schema_of_a_newer_version_is_told(database_url: str, tmp_path: Path) -> None:
    with Database(database_url) as database, database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for command in (("ops_service", "migrate"), (REBUILD,), ("ops_service", "check")):
        done = ops_command(tmp_path, database_url, *command)
        assert done.returncode in (1, 2)
        assert "of a newer version of Ops" in done.stdout + done.stderr
        assert "9999" in done.stdout + done.stderr
        assert "ops-service migrate" not in done.stdout + done.stderr


def test_an_installation_without_migrations_is_told_as_that(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "MIGRATIONS", tmp_path / "migrations")
    with Database(empty_database_url) as database, pytest.raises(DatabaseMisconfigured) as raised:
        migrate.upgrade(database)
    assert str(raised.value).startswith(f"the migrations in {tmp_path / 'migrations'} cannot be applied: ")
    assert "newer" not in str(raised.value)


def test_a_database_with_tables_of_somebody_else_is_left_alone(
    empty_database_url: str, tmp_path: Path
) -> None:
    with Database(empty_database_url) as database, database.write() as connection:
        connection.execute(text("CREATE TABLE users (login text)"))
    done = ops_command(tmp_path, empty_database_url, "ops_service", "migrate")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "has a table users that Ops has not made" in done.stderr


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_postgresql_database_that_cannot_hold_every_text_is_refused(
    encoding: str, postgres_server: str
) -> None:
    url = make_url(postgres_server)
    server = create_engine(url.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    name = f"in_{encoding.lower()}"
    with server.connect() as connection:
        made = f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
        connection.execute(text(made))
        try:
            refused = refusal_of(url.set(database=name).render_as_string(hide_password=False))
        finally:
            connection.execute(text(f"DROP DATABASE {name}"))
    server.dispose()
    assert f"is encoded in {encoding}" in refused
    assert "ENCODING 'UTF8'" in refused


def test_a_schema_that_is_missing_on_postgresql_is_told(empty_postgresql_url: str) -> None:
    url = make_url(empty_postgresql_url).update_query_dict({"options": "-csearch_path=nowhere"})
    with (
        Database(url.render_as_string(hide_password=False)) as database,
        pytest.raises(DatabaseMisconfigured, match="make that schema"),
    ):
        migrate.upgrade(database)


def test_a_damaged_sqlite_file_is_told(sqlite_url: str, tmp_path: Path) -> None:
    file = Path(make_url(sqlite_url).database or "")
    with Database(sqlite_url) as database:
        for number in range(300):
            store(database, delivery("onboarding.started", f"s{number}"))
    with file.open("r+b") as damaged:
        damaged.seek(4096 * 20)
        damaged.write(b"\xff" * 4096 * 30)
    done = ops_command(tmp_path, sqlite_url, REBUILD, "--verify")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "malformed; the file is damaged: put a backup back" in done.stderr
    with Database(sqlite_url) as database, pytest.raises(DatabaseUnavailable), database.read() as connection:
        connection.execute(select(webhook_events)).all()


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_is_none_is_refused(port: str, tmp_path: Path) -> None:
    done = ops_command(tmp_path, "sqlite:///var/ops.db", "ops_service", "serve", "--port", port)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_env_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_bytes(b"OPS_PORT=\xff")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadSettings, match=r"\.env cannot be read: "):
        load()
