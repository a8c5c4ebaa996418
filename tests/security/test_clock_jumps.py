"""A clock that ran ahead, or was put back, locks nobody out and keeps nothing alive."""

from typing import Final

import pytest

from ops_service.auth.throttle import BY_ADDRESS
from portal_hooks.instants import DAY, SECOND
from tests.people import PASSWORD, add_user, browser, sign_in
from tests.running_ops import RunningOps
from tests.security.conftest import Clock

FOUR_YEARS: Final = 4 * 365 * DAY


def test_a_sign_in_by_a_clock_that_ran_ahead_locks_nobody_out(ops: RunningOps, clock: Clock) -> None:
    add_user(ops, "ana", "viewer")
    with browser(ops) as client:
        clock.now += FOUR_YEARS
        assert sign_in(client, "ana").status_code == 200
        clock.now -= FOUR_YEARS
        refused = sign_in(client, "ana")
        if refused.status_code == 429:
            assert int(refused.headers["Retry-After"]) * SECOND <= BY_ADDRESS.every
            clock.now += BY_ADDRESS.every
        assert sign_in(client, "ana").status_code == 200


def test_failures_by_a_clock_that_ran_ahead_drain_as_others_do(ops: RunningOps, clock: Clock) -> None:
    add_user(ops, "ana", "viewer")
    with browser(ops) as client:
        clock.now += FOUR_YEARS
        for number in range(BY_ADDRESS.burst):
            sign_in(client, f"name{number}", "wrong")
        clock.now -= FOUR_YEARS
        assert sign_in(client, "ana").status_code == 429
        clock.now += BY_ADDRESS.every
        assert sign_in(client, "ana").status_code == 200


@pytest.mark.parametrize("jump", [FOUR_YEARS, -FOUR_YEARS])
def test_a_session_does_not_outlive_the_clock_that_began_it(ops: RunningOps, clock: Clock, jump: int) -> None:
    add_user(ops, "ana", "viewer")
    with browser(ops) as client:
        clock.now += jump
        assert sign_in(client, "ana").status_code == 200
        assert client.get("/api/v1/auth/me").status_code == 200
        clock.now -= jump
        assert client.get("/api/v1/auth/me").status_code == 401


def test_a_clock_put_back_by_seconds_ends_nothing(ops: RunningOps, clock: Clock) -> None:
    add_user(ops, "ana", "viewer")
    with browser(ops) as client:
        assert sign_in(client, "ana").status_code == 200
        clock.now -= 30 * SECOND
        assert client.get("/api/v1/auth/me").status_code == 200


def test_a_link_does_not_outlive_the_clock_that_made_it(ops: RunningOps, clock: Clock) -> None:
    user_id = add_user(ops, "ana", "viewer")
    clock.now += FOUR_YEARS
    link = ops.http.post(f"/api/v1/users/{user_id}/link").json()["path"]
    clock.now -= FOUR_YEARS
    body = {"link": link.rsplit("/", 1)[-1], "password": f"{PASSWORD} again"}
    with browser(ops) as client:
        assert client.post("/api/v1/auth/link/redeem", json=body).status_code == 410


def test_whoever_opened_a_link_is_no_stranger(ops: RunningOps, clock: Clock) -> None:
    user_id = add_user(ops, "ana", "viewer")
    with browser(ops) as client:
        for number in range(BY_ADDRESS.burst + 1):
            last = sign_in(client, f"name{number}", "wrong")
        assert last.status_code == 429
        link = ops.http.post(f"/api/v1/users/{user_id}/link").json()["path"]
        body = {"link": link.rsplit("/", 1)[-1], "password": f"{PASSWORD} again"}
        assert client.post("/api/v1/auth/link/redeem", json=body).status_code == 200
        assert sign_in(client, "ana", f"{PASSWORD} again").status_code == 200
