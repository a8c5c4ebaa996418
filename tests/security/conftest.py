"""A running service for each test, on each database."""

from collections.abc import Iterator

import pytest

from tests.people import use_cheap_hashes
from tests.running_ops import RunningOps, running_ops


@pytest.fixture
def ops(database_url: str) -> Iterator[RunningOps]:
    """A real service on a fresh database."""
    with running_ops(database_url) as running:
        yield running


@pytest.fixture
def genuine_hashes() -> None:
    """For a test about the hashes themselves."""


@pytest.fixture(autouse=True)
def cheap_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests sign in a thousand times."""
    if "genuine_hashes" not in request.fixturenames:
        use_cheap_hashes(monkeypatch)


class Clock:
    """The service's clock, which the test moves."""

    def __init__(self, ops: RunningOps) -> None:
        self.now = ops.app.state.clock()
        ops.app.state.clock = lambda: self.now


@pytest.fixture
def clock(ops: RunningOps) -> Clock:
    """Time stands still until the test moves it."""
    return Clock(ops)
