"""A running service for each test, on each database."""

from collections.abc import Iterator

import pytest

from projections.database.database import Database
from tests.running_ops import RunningOps, running_ops


@pytest.fixture
def ops(database_url: str) -> Iterator[RunningOps]:
    """A real service on a fresh database."""
    with running_ops(database_url) as running:
        yield running


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database."""
    database = Database(database_url)
    yield database
    database.dispose()
