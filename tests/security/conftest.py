"""A running service for each test, on each database."""

from collections.abc import Iterator

import pytest

from tests.running_ops import RunningOps, running_ops


@pytest.fixture
def ops(database_url: str) -> Iterator[RunningOps]:
    """A real service on a fresh database."""
    with running_ops(database_url) as running:
        yield running


class Clock:
    """The service's clock, which the test moves."""

    def __init__(self, ops: RunningOps) -> None:
        self.now = ops.app.state.clock()
        ops.app.state.clock = lambda: self.now


@pytest.fixture
def clock(ops: RunningOps) -> Clock:
    """Time stands still until the test moves it."""
    return Clock(ops)
