"""A running service for each browser test, and the desk signed in to it."""

import asyncio
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Page

from scripts.demo import fill
from tests.people import PASSWORD, add_user, use_cheap_hashes
from tests.running_ops import RunningOps, running_ops

OPERATOR = "ana"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of these tests begin by signing in."""
    use_cheap_hashes(monkeypatch)


@pytest.fixture
def ops(sqlite_url: str) -> Iterator[RunningOps]:
    """A real service on a fresh database."""
    with running_ops(sqlite_url) as running:
        yield running


@pytest.fixture(scope="session")
def demo_file(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database to copy, filled as `make demo` fills its own."""
    file = shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("demo") / "ops.db")
    # In a thread of its own: Playwright's event loop may already be running in this one.
    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, fill(f"sqlite:///{file}")).result()
    return file


@pytest.fixture
def demo(demo_file: Path, tmp_path: Path) -> Iterator[RunningOps]:
    """A real service on three days of made-up traffic."""
    copy = shutil.copyfile(demo_file, tmp_path / "demo.db")
    with running_ops(f"sqlite:///{copy}") as running:
        add_user(running, OPERATOR, "admin")
        yield running


# The service comes first, so that it goes last: a page that still polls would complain of its absence.
@pytest.fixture
def desk(ops: RunningOps, page: Page) -> Page:
    """The desk, signed in with a token that may write."""
    return open_desk(page, ops)


@pytest.fixture
def demo_desk(demo: RunningOps, page: Page) -> Page:
    """The desk on three days of made-up traffic, with an administrator signed in, who may see every view."""
    return enter(page, demo)


def enter(page: Page, ops: RunningOps) -> Page:
    """Sign in as the operator who has a name and a password."""
    page.goto(ops.url)
    page.locator("input[name=name]").fill(OPERATOR)
    page.locator("input[type=password]").fill(PASSWORD)
    page.locator("input[type=password]").press("Enter")
    page.locator("#funnel .tiles").wait_for()
    return page


def open_desk(page: Page, ops: RunningOps, scope: str = "write") -> Page:
    """Sign the page in with a token of that scope; it shows the dashboard then."""
    page.goto(f"{ops.url}/#token={ops.tokens[scope]}")
    page.locator("#funnel .tiles, #funnel .empty").first.wait_for()
    return page
