"""One database for all examples of a test; each example empties it first."""

from collections.abc import Iterator

import pytest

from projections.database.database import Database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database."""
    database = Database(database_url)
    yield database
    database.dispose()
