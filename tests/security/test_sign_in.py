"""The sign-in tells nothing about accounts, and wears out guessing without keeping the operator out."""

from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from ops_service.auth import passwords, users
from ops_service.auth.throttle import BY_ACCOUNT, BY_ADDRESS
from ops_service.principals import SERVER
from portal_hooks.instants import SECOND
from projections.database.tables import sign_in_limits
from tests.people import PASSWORD, add_user, browser, browser_of, sign_in
from tests.running_ops import PLAIN_HTTP, RunningOps, running_ops
from tests.security.conftest import Clock

SIGN_IN = "/api/v1/auth/sign-in"
NEW = "another long password"


@pytest.fixture
def proxied(database_url: str) -> Any:
    """A service behind a proxy on this machine, so that a test may come from any address."""
    with running_ops(database_url, trusted_proxies="127.0.0.1") as running:
        yield running


def guess(ops: RunningOps, address: str, name: str = "ana", password: str = "wrong") -> httpx.Response:
    body = {"name": name, "password": password}
    return httpx.post(
        ops.url + SIGN_IN, json=body, headers={"X-Forwarded-For": address}, timeout=30, verify=PLAIN_HTTP
    )


def test_every_failure_looks_and_costs_the_same(
    ops: RunningOps, monkeypatch: pytest.MonkeyPatch, genuine_hashes: None
) -> None:
    add_user(ops, "ana", "viewer")
    gone = add_user(ops, "rui", "viewer")
    ops.http.patch(f"/api/v1/users/{gone}", json={"disabled": True})
    ops.http.post("/api/v1/users", json={"name": "invited"})
    verified: list[str] = []
    genuine = passwords._hasher.verify

    class Counting:
        check_needs_rehash = passwords._hasher.check_needs_rehash

        def verify(self, stored: str, password: str) -> bool:
            verified.append(stored)
            return genuine(stored, password)

    monkeypatch.setattr(passwords, "_hasher", Counting())
    with browser(ops) as client:
        names = ["ana", "rui", "invited", "unknown", "", "Ä\x00not a name", "x" * 200]
        answers = [sign_in(client, name, "wrong password") for name in names]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert not any("set-cookie" in answer.headers for answer in answers)
    # One hash of the same costs for each, whoever was asked for: the time is the same by construction.
    assert len(verified) == len(names)
    assert {stored.rpartition("$")[0].rpartition("$")[0] for stored in verified} == {
        "$argon2id$v=19$m=65536,t=3,p=1"
    }


def test_a_password_is_the_same_from_any_keyboard() -> None:
    assert passwords.is_right(
        passwords.hash_password("cora\u00e7\u00e3o aberto"), "corac\u0327a\u0303o aberto"
    )


def test_nobody_s_hash_opens_nothing() -> None:
    assert not passwords.is_right(None, "")
    assert not passwords.is_right("no hash at all", "x")


def test_an_account_wears_out_and_recovers(proxied: RunningOps) -> None:
    clock = Clock(proxied)
    add_user(proxied, "ana", "viewer")
    for number in range(BY_ACCOUNT.burst):
        assert guess(proxied, f"10.0.{number}.1").status_code == 401
    refused = guess(proxied, "10.1.0.1", password="correct horse battery")
    assert refused.status_code == 429
    wait = int(refused.headers["Retry-After"])
    assert 0 < wait * SECOND <= BY_ACCOUNT.every
    # Trying meanwhile does not make it longer.
    for number in range(5):
        assert int(guess(proxied, f"10.2.{number}.1").headers["Retry-After"]) == wait
    clock.now += wait * SECOND
    assert guess(proxied, "10.1.0.1", password="correct horse battery").status_code == 200


def test_a_stranger_cannot_keep_the_operator_out(proxied: RunningOps) -> None:
    Clock(proxied)
    add_user(proxied, "ana", "viewer")
    assert guess(proxied, "10.9.9.9", password="correct horse battery").status_code == 200
    for number in range(BY_ACCOUNT.burst + 1):
        last = guess(proxied, f"10.0.{number}.1").status_code
    assert last == 429
    assert guess(proxied, "10.9.9.9", password="correct horse battery").status_code == 200


def test_an_address_wears_out_whatever_names_it_tries(proxied: RunningOps) -> None:
    Clock(proxied)
    add_user(proxied, "ana", "viewer")
    for number in range(BY_ADDRESS.burst):
        assert guess(proxied, "2001:db8::1", f"name{number}").status_code == 401
    # The rest of the same /64 is the same caller.
    assert guess(proxied, "2001:db8::2", "ana").status_code == 429
    assert guess(proxied, "2001:db8:1::2", "ana", "correct horse battery").status_code == 200


def test_a_success_takes_nothing(ops: RunningOps, clock: Clock) -> None:
    add_user(ops, "ana", "viewer")
    with browser(ops) as client:
        for _ in range(3):
            assert sign_in(client, "ana").status_code == 200
    with ops.database.read() as connection:
        rows = connection.execute(select(sign_in_limits)).all()
    assert [row for row in rows if row.spent_until > clock.now] == []


def test_a_forged_address_is_not_believed(ops: RunningOps, clock: Clock) -> None:
    for number in range(BY_ADDRESS.burst):
        guess(ops, f"10.0.{number}.1", f"name{number}")
    assert guess(ops, "10.7.7.7", "another").status_code == 429


def test_two_services_count_together(ops: RunningOps, database_url: str, clock: Clock) -> None:
    with running_ops_beside(ops, database_url) as other:
        other.app.state.clock = ops.app.state.clock
        for number in range(BY_ADDRESS.burst):
            guess((ops, other)[number % 2], "10.0.0.1", f"name{number}")
        assert guess(ops, "10.0.0.1").status_code == guess(other, "10.0.0.1").status_code == 429


def test_an_administrator_s_link_ends_the_wait(proxied: RunningOps) -> None:
    Clock(proxied)
    user_id = add_user(proxied, "ana", "viewer")
    for number in range(BY_ACCOUNT.burst + 1):
        last = guess(proxied, f"10.0.{number}.1").status_code
    assert last == 429
    assert proxied.http.post(f"/api/v1/users/{user_id}/link").status_code == 201
    assert guess(proxied, "10.1.0.1", password="correct horse battery").status_code == 200


@pytest.mark.parametrize("meanwhile", ["another password", "disabled"])
def test_a_change_of_password_does_not_undo_what_an_administrator_did_meanwhile(
    ops: RunningOps, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    user_id = add_user(ops, "ana", "viewer")
    genuine = passwords.hash_password
    given = genuine("given by an administrator")

    def slow_hash(password: str) -> str:
        with ops.database.write() as connection:
            user = users.find(connection, user_id)
            assert user is not None
            if meanwhile == "disabled":
                users.set_disabled(connection, user, True, SERVER, ops.app.state.clock())
            else:
                users.set_password(connection, user, given)
        return genuine(password)

    with browser_of(ops, user_id) as client:
        with monkeypatch.context() as meddling:
            meddling.setattr(passwords, "hash_password", slow_hash)
            answer = client.post("/api/v1/auth/password", json={"current": PASSWORD, "new": NEW})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/current")
        ops.http.patch(f"/api/v1/users/{user_id}", json={"disabled": False})
        assert client.get("/api/v1/auth/me").status_code == 401
        password = PASSWORD if meanwhile == "disabled" else "given by an administrator"
        assert sign_in(client, "ana", NEW).status_code == 401
        assert sign_in(client, "ana", password).status_code == 200
    assert [line["action"] for line in ops.get("/api/v1/audit")["lines"]].count("password_refused") == 1


def test_hashes_made_with_other_costs_are_renewed(ops: RunningOps, genuine_hashes: None) -> None:
    add_user(ops, "ana", "viewer")
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct horse battery")
    with ops.database.write() as connection:
        users.rehash(connection, 1, cheap)
    with browser(ops) as client:
        assert sign_in(client, "ana").status_code == 200
        assert sign_in(client, "ana").status_code == 200
    with ops.database.read() as connection:
        user = users.named(connection, "ana")
    assert user is not None
    assert not passwords.is_outdated(user.password_hash)


def running_ops_beside(ops: RunningOps, database_url: str) -> Any:
    """A second service on the same database; the first one's tokens are in the way of its own."""
    with ops.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM api_tokens")
    return running_ops(database_url)
