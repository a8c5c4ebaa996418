"""A running service for each browser test, and the desk signed in to it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.running_ops import RunningOps, running_ops


@pytest.fixture
def ops(sqlite_url: str) -> Iterator[RunningOps]:
    """A real service on a fresh database."""
    with running_ops(sqlite_url) as running:
        yield running


# The service comes first, so that it goes last: a page that still polls would complain of its absence.
@pytest.fixture
def desk(ops: RunningOps, page: Page) -> Page:
    """The desk, signed in with a token that may write."""
    page.goto(f"{ops.url}/#token={ops.tokens['write']}")
    page.get_by_role("heading", name="Dashboard").wait_for()
    return page
