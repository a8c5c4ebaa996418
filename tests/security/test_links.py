"""One-time links: once, for a day, the newest one."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from ops_service.auth import links
from tests.people import PASSWORD, add_user, browser, browser_of, sign_in
from tests.running_ops import RunningOps
from tests.security.conftest import Clock

LOOK = "/api/v1/auth/link"
REDEEM = "/api/v1/auth/link/redeem"


def invited(ops: RunningOps, name: str = "rui", role: str = "agent") -> str:
    """The secret of a new user's link."""
    answer = ops.http.post("/api/v1/users", json={"name": name, "role": role})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["path"]).removeprefix("/#/welcome/")


def first_link(ops: RunningOps) -> str:
    """As `make run` prints it."""
    with ops.database.write() as connection:
        return links.create(connection, None, ops.app.state.clock())


def redeem(client: httpx.Client, secret: str, **fields: str) -> httpx.Response:
    return client.post(REDEEM, json={"link": secret, "password": PASSWORD, **fields})


def test_an_invitation_is_used_once(ops: RunningOps) -> None:
    secret = invited(ops)
    with browser(ops) as client, browser(ops) as late:
        assert client.post(LOOK, json={"link": secret}).json() == {"name": "rui"}
        answer = redeem(client, secret)
        assert answer.json() == {"name": "rui", "kind": "user", "scope": "write"}
        assert client.get("/api/v1/auth/me").status_code == 200
        assert redeem(late, secret, password="another long one").status_code == 410
        assert late.post(LOOK, json={"link": secret}).status_code == 410
        assert sign_in(late, "rui").status_code == 200


def test_of_many_at_once_one_wins(ops: RunningOps) -> None:
    secret = invited(ops)

    def attempt(number: int) -> int:
        with browser(ops) as client:
            return redeem(client, secret, password=f"{PASSWORD} {number}").status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(attempt, range(4)))
    assert sorted(statuses) == [200, 410, 410, 410]


def test_a_link_expires(ops: RunningOps, clock: Clock) -> None:
    secret = invited(ops)
    clock.now += links.LIFETIME - 1
    with browser(ops) as client:
        assert client.post(LOOK, json={"link": secret}).status_code == 200
        clock.now += 1
        assert redeem(client, secret).status_code == 410


def test_a_newer_link_replaces_the_older(ops: RunningOps) -> None:
    old = invited(ops)
    new = ops.http.post("/api/v1/users/1/link").json()["path"].removeprefix("/#/welcome/")
    with browser(ops) as client:
        assert redeem(client, old).status_code == 410
        assert redeem(client, new).status_code == 200


def test_a_reset_keeps_the_old_password_until_it_is_used_and_then_ends_all(ops: RunningOps) -> None:
    user_id = add_user(ops, "ana", "viewer")
    with browser_of(ops, user_id) as before, browser(ops) as client:
        secret = ops.http.post(f"/api/v1/users/{user_id}/link").json()["path"].removeprefix("/#/welcome/")
        assert before.get("/api/v1/auth/me").status_code == 200
        assert redeem(client, secret, password="another long one").status_code == 200
        assert before.get("/api/v1/auth/me").status_code == 401
        assert sign_in(before, "ana").status_code == 401


def test_a_disabled_user_s_link_opens_nothing(ops: RunningOps) -> None:
    secret = invited(ops)
    ops.http.patch("/api/v1/users/1", json={"disabled": True})
    assert ops.http.post("/api/v1/users/1/link").status_code == 409
    with browser(ops) as client:
        assert redeem(client, secret).status_code == 410
        ops.http.patch("/api/v1/users/1", json={"disabled": False})
        assert redeem(client, secret).status_code == 410


def test_the_first_operator_chooses_a_name_and_there_is_only_one_first(ops: RunningOps) -> None:
    secret = first_link(ops)
    with browser(ops) as client:
        assert client.post(LOOK, json={"link": secret}).json() == {"name": None}
        assert redeem(client, secret).status_code == 422
        assert redeem(client, secret, name="Not a name").status_code == 422
        assert redeem(client, secret, name="Ana").json()["scope"] == "admin"
        second = first_link(ops)
        assert redeem(client, second, name="eva").status_code == 410


def test_the_first_link_does_not_take_over_who_was_invited(ops: RunningOps) -> None:
    secret = first_link(ops)
    invited(ops, "rui", "viewer")
    with browser(ops) as client:
        assert redeem(client, secret, name="rui").status_code == 409
        assert redeem(client, secret, name="ana").status_code == 200


def test_forged_and_poor_ones_are_refused(ops: RunningOps) -> None:
    secret = invited(ops, "rui-the-agent")
    with browser(ops) as client:
        assert redeem(client, "x" * 43).status_code == 410
        assert redeem(client, "").status_code == 422
        for poor in ("short", "rui-the-agent", "rui-the-agent1", "x" * 257, "\ud800" * 12):
            body = b'{"link": "%b", "password": "%b"}' % (
                secret.encode(),
                poor.encode("ascii", "backslashreplace"),
            )
            answer = client.post(REDEEM, content=body, headers={"content-type": "application/json"})
            assert answer.status_code == 422, poor
            assert secret not in answer.text
        assert redeem(client, secret).status_code == 200
