"""A running service for each test, on each database."""

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from ops_service.auth import passwords
from tests.people import hash_of_password
from tests.running_ops import RunningOps, running_ops


@pytest.fixture
def ops(database_url: str) -> Iterator[RunningOps]:
    """A real service on a fresh database."""
    with running_ops(database_url) as running:
        yield running


@pytest.fixture
def genuine_hashes() -> Iterator[None]:
    """For a test about the hashes themselves."""
    hash_of_password.cache_clear()
    yield
    hash_of_password.cache_clear()


@pytest.fixture(autouse=True)
def cheap_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Genuine argon2id, but not slow on purpose: these tests sign in a thousand times."""
    if "genuine_hashes" not in request.fixturenames:
        cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        monkeypatch.setattr(passwords, "_hasher", cheap)
        monkeypatch.setattr(passwords, "_nobodys_hash", cheap.hash("nobody's"))


class Clock:
    """The service's clock, which the test moves."""

    def __init__(self, ops: RunningOps) -> None:
        self.now = ops.app.state.clock()
        ops.app.state.clock = lambda: self.now


@pytest.fixture
def clock(ops: RunningOps) -> Clock:
    """Time stands still until the test moves it."""
    return Clock(ops)
