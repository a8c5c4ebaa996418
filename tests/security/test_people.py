"""Managing people: by the API and from the server's shell; there is always a way back in."""

import subprocess
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from portal_hooks.instants import MINUTE
from tests.people import PASSWORD, add_user, browser, browser_of, sign_in
from tests.running_ops import RunningOps, running_ops
from tests.security.conftest import Clock
from tests.servers import forked

ROOT = Path(__file__).resolve().parents[2]
USERS = "/api/v1/users"


def command(
    ops: RunningOps, *arguments: str, stdin: str = "", group: str = "user"
) -> "subprocess.CompletedProcess[str]":
    """`ops-service user …`, or of another group, on the same database."""
    url = make_url(ops.app.state.settings.database_url).render_as_string(hide_password=False)
    environment = {"OPS_DATABASE_URL": url, "PATH": "/usr/bin:/bin", "TERM": "dumb"}
    return forked.run("ops_service", [group, *arguments], environment, ROOT, stdin)


def test_there_is_no_default_account(ops: RunningOps) -> None:
    assert ops.get(USERS) == {"users": []}
    with browser(ops) as client:
        for name in ("admin", "root", "ops", "operator"):
            assert sign_in(client, name, name).status_code == 401


def test_the_last_administrator_stays(ops: RunningOps) -> None:
    only = add_user(ops, "ana", "admin")
    add_user(ops, "rui", "agent")
    ops.http.post(USERS, json={"name": "invited", "role": "admin"})
    for change in ({"role": "viewer"}, {"disabled": True}):
        answer = ops.http.patch(f"{USERS}/{only}", json=change)
        assert answer.status_code == 409
        assert "last administrator" in answer.json()["detail"]
        assert answer.json()["code"] == "last_admin"
    add_user(ops, "eva", "admin")
    assert ops.http.patch(f"{USERS}/{only}", json={"disabled": True}).status_code == 200


@pytest.mark.parametrize("name", ["", " ", "a b", "ana/x", "x" * 65, "ána", "a\x00", "-ana"])
def test_a_name_that_none_can_have(ops: RunningOps, name: str) -> None:
    assert ops.http.post(USERS, json={"name": name}).status_code == 422


def test_a_name_is_taken_in_any_spelling(ops: RunningOps) -> None:
    assert ops.http.post(USERS, json={"name": "Ana"}).status_code == 201
    assert ops.http.post(USERS, json={"name": " ana "}).status_code == 409


def test_the_list_says_how_each_stands(ops: RunningOps) -> None:
    add_user(ops, "ana", "admin")
    ops.http.post(USERS, json={"name": "rui"})
    with browser(ops) as client:
        sign_in(client, "ana")
    shown = [(row["name"], row["role"], row["state"], row["sessions"]) for row in ops.get(USERS)["users"]]
    assert shown == [("ana", "admin", "active", 1), ("rui", "viewer", "invited", 0)]
    assert "argon2" not in repr(ops.get(USERS))


def test_the_list_counts_no_session_that_is_over(ops: RunningOps, clock: Clock) -> None:
    idle = ops.app.state.settings.session_idle_minutes * MINUTE
    with browser_of(ops, add_user(ops, "ana", "admin")) as client:
        clock.now += idle - 1
        assert [row["sessions"] for row in ops.get(USERS)["users"]] == [1]
        clock.now += 1
        assert [row["sessions"] for row in ops.get(USERS)["users"]] == [0]
        assert client.get("/api/v1/auth/me").status_code == 401


def test_a_token_is_shown_once_and_works_until_it_is_revoked(ops: RunningOps) -> None:
    token = ops.http.post("/api/v1/tokens", json={"name": "wall"}).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    listed = ops.get("/api/v1/tokens")["tokens"]
    assert token not in repr(listed)
    assert httpx.get(f"{ops.url}/api/v1/events", headers=headers).status_code == 200
    token_id = next(row["id"] for row in listed if row["name"] == "wall")
    assert ops.http.delete(f"/api/v1/tokens/{token_id}").status_code == 204
    assert ops.http.delete(f"/api/v1/tokens/{token_id}").status_code == 404
    assert httpx.get(f"{ops.url}/api/v1/events", headers=headers).status_code == 401


def test_the_shell_makes_users_lists_and_disables_them(ops: RunningOps) -> None:
    made = command(ops, "create", "Ana", "--role", "admin")
    assert made.returncode == 0, made.stderr
    link = made.stdout.strip()
    assert "/#/welcome/" in link
    with browser(ops) as client:
        body = {"link": link.rpartition("/")[2], "password": PASSWORD}
        assert client.post("/api/v1/auth/link/redeem", json=body).status_code == 200
        assert command(ops, "list").stdout.split() == ["ana", "admin"]
        refused = command(ops, "disable", "ana")
        assert (refused.returncode, "last administrator" in refused.stderr) == (2, True)
        assert (
            command(ops, "create", "eva", "--role", "admin", "--password", stdin=f"{PASSWORD}\n").returncode
            == 0
        )
        assert command(ops, "disable", "ana").returncode == 0
        assert client.get("/api/v1/auth/me").status_code == 401
        assert sign_in(client, "eva").status_code == 200


def test_the_shell_brings_back_who_forgot_the_password(ops: RunningOps) -> None:
    add_user(ops, "ana", "admin")
    add_user(ops, "eva", "admin")
    assert command(ops, "passwd", "ana", "--password", stdin="short\n").returncode == 2
    assert command(ops, "passwd", "ana", "--password", stdin="a quite new one\n").returncode == 0
    assert command(ops, "disable", "ana").returncode == 0
    refused = command(ops, "passwd", "ana")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "is disabled" in refused.stderr
    assert command(ops, "enable", "ana").returncode == 0
    with browser(ops) as client:
        assert sign_in(client, "ana").status_code == 401
        assert sign_in(client, "ana", "a quite new one").status_code == 200


def test_the_shell_prints_no_link_that_was_not_stored(sqlite_url: str) -> None:
    with running_ops(sqlite_url) as ops:
        with ops.database.write() as connection:
            for sql in (
                "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
                "CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
                "CREATE TRIGGER fails_at_the_commit AFTER INSERT ON one_time_links"
                " BEGIN INSERT INTO child VALUES (1); END",
            ):
                connection.execute(text(sql))
        failed = command(ops, "create", "carl")
        assert failed.returncode != 0
        assert failed.stdout == ""
        assert "FOREIGN KEY constraint failed" in failed.stderr


def test_the_shell_says_what_is_wrong(ops: RunningOps) -> None:
    for arguments in (("passwd", "nobody"), ("create", "a b"), ("create", "ana", "--role", "king")):
        answer = command(ops, *arguments)
        assert answer.returncode == 2
        assert "Traceback" not in answer.stderr
    long = command(ops, "create", "ana", "--password", stdin=f"{'x' * 257}\n")
    assert (long.returncode, "12 to 256 characters" in long.stderr) == (2, True)


def test_the_shell_refuses_a_password_made_of_the_name_as_a_link_does(ops: RunningOps) -> None:
    refusal = "the password must not be made of the name"
    new = command(ops, "create", "Administrator", "--password", stdin="administrator1\n")
    assert (new.returncode, refusal in new.stderr) == (2, True)
    assert "administrator" not in command(ops, "list").stdout
    add_user(ops, "administrator", "viewer")
    known = command(ops, "passwd", "Administrator", "--password", stdin="The-Administrator\n")
    assert (known.returncode, refusal in known.stderr) == (2, True)
    with browser(ops) as client:
        assert sign_in(client, "administrator").status_code == 200


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 65], ids=["empty", "blank", "two lines", "long"])
def test_the_shell_takes_the_names_of_tokens_that_the_api_takes(ops: RunningOps, name: str) -> None:
    before = ops.get("/api/v1/tokens")
    answer = command(ops, "create", "--name", name, group="token")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "--name is 1 to 64 characters" in answer.stderr
    assert ops.get("/api/v1/tokens") == before


def test_the_shell_lists_tokens_and_revokes_them(ops: RunningOps) -> None:
    token = command(ops, "create", "--name", "wall", "--scope", "write", group="token").stdout.strip()
    headers = {"Authorization": f"Bearer {token}"}
    listed = command(ops, "list", group="token")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert [line.split()[:2] for line in listed.stdout.splitlines() if line.startswith("wall ")] == [
        ["wall", "write"]
    ]
    made = next(row["created_at"] for row in ops.get("/api/v1/tokens")["tokens"] if row["name"] == "wall")
    assert made in listed.stdout
    assert token not in listed.stdout
    assert httpx.get(f"{ops.url}/api/v1/events", headers=headers).status_code == 200
    revoked = command(ops, "revoke", "wall", group="token")
    assert (revoked.returncode, revoked.stdout) == (0, "The token wall is revoked.\n")
    assert httpx.get(f"{ops.url}/api/v1/events", headers=headers).status_code == 401
    line = ops.get("/api/v1/audit")["lines"][0]
    assert [line[name] for name in ("actor", "action", "subject")] == [
        "command line",
        "token_revoked",
        "token wall",
    ]


def test_the_shell_revokes_no_token_that_is_none(ops: RunningOps) -> None:
    before = ops.get("/api/v1/tokens")
    answer = command(ops, "revoke", "wall", group="token")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == "ops-service: there is no token wall; see `ops-service token list`\n"
    assert ops.get("/api/v1/tokens") == before
