"""The servers and the browser that other tests stand on are real, and private to their test."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
import redis
from playwright.sync_api import Page
from sqlalchemy.engine import make_url

from tests.servers.emptied_postgres import EmptiedPostgres

PAGE = b"<!doctype html><title>Desk</title><p style='display: inline'>Ol\xc3\xa1, mundo</p>"


@pytest.fixture
def site() -> Iterator[str]:
    """A page on loopback, served from this process."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/" else 204)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            if self.path == "/":
                self.wfile.write(PAGE)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    serving.join()
    server.server_close()


def test_postgresql_answers_and_keeps_its_promises_to_disk(empty_postgresql_url: str) -> None:
    with psycopg.connect(empty_postgresql_url) as connection:
        assert connection.info.server_version >= 150000
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)


@pytest.mark.parametrize("_time", ["first", "second"])
def test_each_test_has_its_own_postgresql_database(empty_postgresql_url: str, _time: str) -> None:
    with psycopg.connect(empty_postgresql_url) as connection:
        connection.execute("CREATE TABLE only_mine (n integer)")


def test_a_database_goes_away_although_someone_is_connected(postgres_server: str) -> None:
    from tests.servers import postgres

    with postgres.database(postgres_server) as url:
        left_open = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    left_open.close()


@pytest.fixture
def lent(postgres_server: str, postgres_template: str) -> Iterator[EmptiedPostgres]:
    """Databases to lend that no other test has had."""
    with closing(EmptiedPostgres(postgres_server, postgres_template)) as databases:
        yield databases


TOKEN = (
    "INSERT INTO api_tokens (name, token_hash, scope, created_at) VALUES ('a', 'b', 'read', 1) RETURNING id"
)


def test_a_database_is_lent_again_without_the_rows_of_the_test_before(lent: EmptiedPostgres) -> None:
    seen = []
    for _ in range(2):
        with lent.database() as url, psycopg.connect(url) as connection:
            seen.append((url, connection.execute(TOKEN).fetchall()))
    assert seen == [(url, [(1,)])] * 2


def test_what_a_test_has_left_open_is_ended_before_the_database_is_lent_again(lent: EmptiedPostgres) -> None:
    with lent.database() as url:
        left_open = psycopg.connect(url)
        left_open.execute(TOKEN)
    with lent.database() as again:
        assert again == url
        with pytest.raises(psycopg.OperationalError):
            left_open.commit()
    left_open.close()


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE more (n integer)",
        "DROP INDEX ix_webhook_events_session_id_effective_at",
        "ALTER TABLE webhook_events ALTER source SET DEFAULT 'x'",
        "ANALYZE webhook_events",
        "UPDATE alembic_version SET version_num = '9999'",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 64', current_database()); END $$",
        "INSERT INTO api_tokens"
        " SELECT n, n, 'read', convert_to(n || repeat(md5(n::text), 30), 'UTF8'), 1"
        " FROM generate_series(1, 9000) AS n",
    ],
)
def test_a_database_that_has_changed_is_not_lent_again(lent: EmptiedPostgres, change: LiteralString) -> None:
    with lent.database() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(change)
    with lent.database() as other:
        assert other != url
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_migrated_databases_hold_the_log_and_nothing_in_it(database_url: str) -> None:
    from projections.database.database import Database

    database = Database(database_url)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM webhook_events").scalar_one() == 0
    database.dispose()


def test_sqlite_files_lie_in_the_test_s_own_folder(sqlite_url: str, tmp_path: Path) -> None:
    assert Path(make_url(sqlite_url).database or "").parent == tmp_path


def test_redis_stores_and_expires(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    assert client.set("tests:servers", "1", nx=True, px=60_000)
    assert not client.set("tests:servers", "2", nx=True, px=60_000)
    assert 0 < int(str(client.pttl("tests:servers"))) <= 60_000
    client.delete("tests:servers")
    client.close()


def test_the_browser_lays_out_text(page: Page, site: str) -> None:
    page.goto(site)
    box = page.locator("p").bounding_box()
    assert box is not None
    assert box["width"] > 20
    assert box["height"] > 8
    assert page.title() == "Desk"


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("console.error('broken')", "console: broken"),
        ("setTimeout(() => { throw new Error('lost') })", "uncaught: lost"),
        (
            "fetch('http://192.0.2.1/', {mode: 'no-cors'}).catch(() => 0)",
            "foreign request: http://192.0.2.1/",
        ),
    ],
)
def test_what_a_page_does_wrong_is_noticed(
    page: Page, site: str, page_complaints: list[str], script: str, complaint: str
) -> None:
    page.goto(site)
    page.evaluate(f"() => {{ {script} }}")
    page.wait_for_timeout(200)
    assert complaint in page_complaints
    page_complaints.clear()
