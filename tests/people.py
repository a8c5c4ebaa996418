"""Operators in a test's service, and browsers in which they are signed in."""

from functools import cache

import httpx
import pytest
from argon2 import PasswordHasher

from ops_service.auth import passwords, sessions, users
from ops_service.auth.cookies import NAME
from ops_service.auth.sessions import Lifetime
from ops_service.principals import SERVER
from tests.running_ops import PLAIN_HTTP, RunningOps

PASSWORD = "correct horse battery"


CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Genuine argon2id, but not slow on purpose."""

_CHEAP_HASH_OF_NOBODY = CHEAP.hash("nobody's")


def use_cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that sign in, and are not about the hashes themselves."""
    monkeypatch.setattr(passwords, "_hasher", CHEAP)
    monkeypatch.setattr(passwords, "_nobodys_hash", _CHEAP_HASH_OF_NOBODY)


def hash_of_password() -> str:
    """Of PASSWORD, as the service would make it now."""
    return _hash_by(passwords._hasher)


@cache
def _hash_by(_hasher: PasswordHasher) -> str:
    return passwords.hash_password(PASSWORD)


def add_user(ops: RunningOps, name: str, role: str) -> int:
    """An operator who can sign in with PASSWORD."""
    now = ops.app.state.clock()
    with ops.database.write() as connection:
        user_id = users.create(connection, name, role, SERVER, now)
        user = users.named(connection, name)
        assert user is not None
        users.set_password(connection, user, hash_of_password())
    return user_id


def browser_of(ops: RunningOps, user_id: int) -> httpx.Client:
    """A browser in which this operator is signed in, on our own page."""
    lifetime = Lifetime.of(ops.app.state.settings)
    with ops.database.write() as connection:
        cookie = sessions.begin(connection, user_id, "127.0.0.1", lifetime, ops.app.state.clock())
    return browser(ops, {NAME: cookie})


def browser(ops: RunningOps, cookies: dict[str, str] | None = None) -> httpx.Client:
    """A browser on our own page."""
    headers = {"Origin": ops.url}
    return httpx.Client(base_url=ops.url, timeout=30, headers=headers, cookies=cookies, verify=PLAIN_HTTP)


def sign_in(client: httpx.Client, name: str, password: str = PASSWORD) -> httpx.Response:
    """Name and password, as the page sends them."""
    return client.post("/api/v1/auth/sign-in", json={"name": name, "password": password})
