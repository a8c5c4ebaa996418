"""One running service for a whole module, on each database: its tests only ask what single requests do."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.running_ops import RunningOps, running_ops
from tests.servers import postgres


@contextmanager
def _sqlite(request: pytest.FixtureRequest) -> Iterator[str]:
    template: Path = request.getfixturevalue("sqlite_template")
    folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("contracts")
    copy = shutil.copyfile(template, folder / "ops.db")
    yield str(make_url("sqlite://").set(database=str(copy)))


@contextmanager
def _postgresql(request: pytest.FixtureRequest) -> Iterator[str]:
    server = request.getfixturevalue("postgres_server")
    with postgres.database(server, request.getfixturevalue("postgres_template")) as url:
        yield url


@pytest.fixture(scope="module", params=[_sqlite, _postgresql], ids=["sqlite", "postgresql"])
def ops(request: pytest.FixtureRequest) -> Iterator[RunningOps]:
    """A real service that the module's tests share; what one stores, the next one finds."""
    with request.param(request) as url, running_ops(url) as running:
        yield running
