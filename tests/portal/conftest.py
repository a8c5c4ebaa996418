"""A real Ops for the portals of these tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running_ops import RunningOps, running_ops


@pytest.fixture
def ops(sqlite_url: str) -> Iterator[RunningOps]:
    """A real service on a fresh database."""
    with running_ops(sqlite_url) as running:
        yield running


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """An empty spool folder."""
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder
