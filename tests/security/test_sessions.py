"""Sessions: what a cookie is worth, and when it stops being worth anything."""

import time
from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import select, update

from ops_service.auth.cookies import NAME, SECURE_NAME
from ops_service.auth.guard import AUTOMATIC
from portal_hooks.instants import HOUR, MINUTE
from projections.database.tables import metadata, user_sessions, users
from tests.people import PASSWORD, add_user, browser, browser_of, sign_in
from tests.running_ops import RunningOps, event, running_ops
from tests.security.conftest import Clock

ME = "/api/v1/auth/me"
STREAM = "/api/v1/stream"
PING = b": ping\n\n"
NEW = "another long password"


def is_signed_in(client: httpx.Client) -> bool:
    status = client.get(ME).status_code
    assert status in (200, 401)
    return status == 200


def opens(ops: RunningOps, cookie: str) -> bool:
    """True when this cookie still stands for somebody."""
    with browser(ops, {NAME: cookie}) as client:
        return is_signed_in(client)


def test_signing_in_says_who_one_is(ops: RunningOps) -> None:
    add_user(ops, "ana", "agent")
    with browser(ops) as client:
        answer = sign_in(client, " Ana ")
        assert answer.json() == {"name": "ana", "kind": "user", "scope": "write"}
        assert client.get(ME).json() == answer.json()
        assert "no-store" in answer.headers["cache-control"]


def test_the_cookie_is_out_of_reach(ops: RunningOps) -> None:
    add_user(ops, "ana", "viewer")
    with browser(ops) as client:
        cookie = sign_in(client, "ana").headers["set-cookie"].lower()
    assert cookie.startswith(f"{NAME}=")
    assert {"httponly", "samesite=strict", "path=/"} <= set(cookie.split("; "))
    assert "domain=" not in cookie


def test_over_https_the_cookie_is_secure_and_of_this_host(database_url: str) -> None:
    forwarded = {"x-forwarded-proto": "HTTPS, http", "x-forwarded-for": "10.0.0.7"}
    with running_ops(database_url, trusted_proxies="127.0.0.1") as ops, browser(ops) as client:
        add_user(ops, "ana", "viewer")
        body = {"name": "ana", "password": PASSWORD}
        cookie = client.post("/api/v1/auth/sign-in", json=body, headers=forwarded).headers["set-cookie"]
        assert cookie.startswith(f"{SECURE_NAME}=")
        assert "Secure" in cookie.split("; ")
        value = cookie.split(";")[0].partition("=")[2]
        client.cookies.clear()
        assert client.get(ME, headers={**forwarded, "cookie": f"{SECURE_NAME}={value}"}).status_code == 200
        # What came over plain http, anyone on the way may have put there.
        assert client.get(ME, headers={**forwarded, "cookie": f"{NAME}={value}"}).status_code == 401


def test_only_a_trusted_proxy_says_https(ops: RunningOps) -> None:
    add_user(ops, "ana", "viewer")
    with browser(ops) as client:
        client.headers["x-forwarded-proto"] = "https"
        assert "Secure" not in sign_in(client, "ana").headers["set-cookie"]


def test_a_cookie_somebody_planted_is_not_adopted(ops: RunningOps) -> None:
    add_user(ops, "ana", "viewer")
    with browser(ops, {NAME: "planted"}) as victim, browser(ops, {NAME: "planted"}) as attacker:
        assert sign_in(victim, "ana").status_code == 200
        assert not is_signed_in(attacker)


def test_signing_in_again_rotates_the_cookie(ops: RunningOps) -> None:
    user_id = add_user(ops, "ana", "viewer")
    with browser_of(ops, user_id) as client:
        before = client.cookies[NAME]
        assert sign_in(client, "ana").status_code == 200
        assert not opens(ops, before)
        assert client.cookies.get(NAME, domain="127.0.0.1") != before


def test_an_idle_session_ends(ops: RunningOps, clock: Clock) -> None:
    with browser_of(ops, add_user(ops, "ana", "viewer")) as client:
        for _ in range(3):
            clock.now += 11 * HOUR
            assert is_signed_in(client)
        clock.now += 12 * HOUR
        assert not is_signed_in(client)


def test_a_session_ends_however_busy_it_is(ops: RunningOps, clock: Clock) -> None:
    with browser_of(ops, add_user(ops, "ana", "viewer")) as client:
        for _ in range(16):
            clock.now += 10 * HOUR
            assert is_signed_in(client)
        clock.now += 8 * HOUR
        assert not is_signed_in(client)


def test_reading_does_not_write_each_time(ops: RunningOps, clock: Clock) -> None:
    def used_at() -> int:
        with ops.database.read() as connection:
            return int(connection.execute(select(user_sessions.c.used_at)).scalar_one())

    with browser_of(ops, add_user(ops, "ana", "viewer")) as client:
        before = used_at()
        clock.now += MINUTE - 1
        assert is_signed_in(client)
        assert used_at() == before
        clock.now += 1
        assert is_signed_in(client)
        assert used_at() == clock.now


def test_only_what_a_person_does_keeps_a_session_from_becoming_idle(ops: RunningOps, clock: Clock) -> None:
    idle = ops.app.state.settings.session_idle_minutes * MINUTE
    with browser_of(ops, add_user(ops, "ana", "viewer")) as client:
        for _ in range(3):  # an open desk that nobody looks at
            clock.now += idle // 4
            assert client.get("/api/v1/onboard/funnel", headers={AUTOMATIC: "1"}).status_code == 200
            with client.stream("GET", STREAM) as listening:
                assert listening.status_code == 200
        clock.now += idle // 4
        assert not is_signed_in(client)
    with browser_of(ops, add_user(ops, "rui", "viewer")) as client:
        for _ in range(3):
            clock.now += idle * 3 // 4
            assert client.get("/api/v1/onboard/funnel").status_code == 200
        assert is_signed_in(client)


ENDINGS: dict[str, Callable[[RunningOps, httpx.Client, int], httpx.Response]] = {
    "signed out": lambda _ops, there, _id: there.post("/api/v1/auth/sign-out?everywhere=true"),
    "another password": lambda _ops, there, _id: there.post(
        "/api/v1/auth/password", json={"current": PASSWORD, "new": NEW}
    ),
    "sessions ended": lambda ops, _there, user_id: ops.http.delete(f"/api/v1/users/{user_id}/sessions"),
    "disabled": lambda ops, _there, user_id: ops.http.patch(
        f"/api/v1/users/{user_id}", json={"disabled": True}
    ),
    "another role": lambda ops, _there, user_id: ops.http.patch(
        f"/api/v1/users/{user_id}", json={"role": "agent"}
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_stream_ends_with_what_let_it_in(ops: RunningOps, ending: str) -> None:
    user_id = add_user(ops, "ana", "viewer")
    rui = add_user(ops, "rui", "viewer")
    with (
        browser_of(ops, user_id) as here,
        browser_of(ops, user_id) as there,
        browser_of(ops, rui) as other,
        here.stream("GET", STREAM) as ours,
        other.stream("GET", STREAM) as theirs,
    ):
        parts, others = ours.iter_bytes(), theirs.iter_bytes()
        assert b"resync" in next(parts)
        assert b"resync" in next(others)
        assert ENDINGS[ending](ops, there, user_id).is_success
        began = time.monotonic()
        assert list(parts) == []
        assert time.monotonic() - began < 10  # by itself it would live 45 seconds at least
        # Nobody else's stream ends: the next thing it tells, but for pings, is an event.
        ops.send(event("onboarding.started", "s1"))
        assert b"s1" in next(part for part in others if part != PING)


def test_a_stream_ends_with_its_token(ops: RunningOps) -> None:
    token = ops.http.post("/api/v1/tokens", json={"name": "wall", "scope": "read"}).json()
    bearer = {"Authorization": f"Bearer {token['token']}"}
    with httpx.stream("GET", f"{ops.url}{STREAM}", headers=bearer, timeout=30) as listening:
        parts = listening.iter_bytes()
        assert b"resync" in next(parts)
        [wall] = [each for each in ops.get("/api/v1/tokens")["tokens"] if each["name"] == "wall"]
        assert ops.http.delete(f"/api/v1/tokens/{wall['id']}").is_success
        began = time.monotonic()
        assert list(parts) == []
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("everywhere", [False, True])
def test_signing_out_ends_this_session_or_all(ops: RunningOps, everywhere: bool) -> None:
    user_id = add_user(ops, "ana", "viewer")
    with browser_of(ops, user_id) as here, browser_of(ops, user_id) as there:
        cookie = here.cookies[NAME]
        answer = here.post("/api/v1/auth/sign-out", params={"everywhere": everywhere})
        assert answer.status_code == 204
        assert f'{NAME}=""' in answer.headers["set-cookie"]
        assert not opens(ops, cookie)
        assert is_signed_in(there) is not everywhere


def test_a_new_password_ends_all_other_sessions(ops: RunningOps) -> None:
    user_id = add_user(ops, "ana", "viewer")
    with browser_of(ops, user_id) as here, browser_of(ops, user_id) as there:
        before = here.cookies[NAME]
        body = {"current": PASSWORD, "new": NEW}
        assert here.post("/api/v1/auth/password", json=body).status_code == 200
        assert not is_signed_in(there)
        assert not opens(ops, before)
        assert is_signed_in(here)
        assert sign_in(there, "ana").status_code == 401
        assert sign_in(there, "ana", NEW).status_code == 200


def test_a_wrong_present_password_changes_nothing(ops: RunningOps) -> None:
    with browser_of(ops, add_user(ops, "ana", "viewer")) as client:
        body = {"current": "wrong", "new": NEW}
        answer = client.post("/api/v1/auth/password", json=body)
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/current"]
        assert sign_in(client, "ana").status_code == 200


def test_a_new_password_made_of_the_name_is_refused(ops: RunningOps) -> None:
    with browser_of(ops, add_user(ops, "administrator", "viewer")) as client:
        answer = client.post("/api/v1/auth/password", json={"current": PASSWORD, "new": "administrator1"})
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/new"]
        assert sign_in(client, "administrator").status_code == 200


def test_disabling_ends_everything_at_once(ops: RunningOps) -> None:
    user_id = add_user(ops, "ana", "viewer")
    with browser_of(ops, user_id) as client:
        change = {"disabled": True}
        assert ops.http.patch(f"/api/v1/users/{user_id}", json=change).json()["state"] == "disabled"
        assert not is_signed_in(client)
        assert sign_in(client, "ana").status_code == 401
        ops.http.patch(f"/api/v1/users/{user_id}", json={"disabled": False})
        assert not is_signed_in(client)
        assert sign_in(client, "ana").status_code == 200


def test_a_session_that_outlived_the_disabling_is_worth_nothing(ops: RunningOps) -> None:
    user_id = add_user(ops, "ana", "viewer")
    with browser_of(ops, user_id) as client:
        with ops.database.write() as connection:
            connection.execute(update(users).where(users.c.id == user_id).values(disabled_at=1))
        assert not is_signed_in(client)


def test_an_administrator_ends_anybody_s_sessions(ops: RunningOps) -> None:
    user_id = add_user(ops, "ana", "viewer")
    with browser_of(ops, user_id) as client:
        assert ops.http.delete(f"/api/v1/users/{user_id}/sessions").status_code == 204
        assert not is_signed_in(client)


def test_a_changed_role_counts_from_the_next_request(ops: RunningOps) -> None:
    user_id = add_user(ops, "ana", "admin")
    add_user(ops, "rui", "admin")
    with browser_of(ops, user_id) as client:
        assert client.get("/api/v1/users").status_code == 200
        assert ops.http.patch(f"/api/v1/users/{user_id}", json={"role": "viewer"}).status_code == 200
        assert client.get("/api/v1/users").status_code == 403


def test_nothing_at_rest_lets_anyone_in(ops: RunningOps) -> None:
    with browser(ops) as client:
        add_user(ops, "ana", "viewer")
        sign_in(client, "ana")
        path = ops.http.post("/api/v1/users", json={"name": "rui"}).json()["path"]
        secrets = [PASSWORD, client.cookies[NAME], path.rpartition("/")[2], *ops.tokens.values()]
    with ops.database.read() as connection:
        stored = repr([connection.execute(select(table)).all() for table in metadata.sorted_tables])
    assert "ana" in stored
    assert [secret for secret in secrets if secret in stored] == []
