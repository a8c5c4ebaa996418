"""Servers, databases and the browser, for every test that asks for one."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
)
from sqlalchemy.engine import make_url

from tests.servers import chromium, postgres, redis
from tests.servers.emptied_postgres import EmptiedPostgres
from tests.servers.process import ServerUnavailable

# Two busy cores make single examples slow now and then: time is pytest-timeout's business.
hypothesis.settings.register_profile("suite", deadline=None, print_blob=True)
hypothesis.settings.load_profile("suite")

# So does a page.
expect.set_options(timeout=20_000)


class _SharedServers:
    """With xdist, one PostgreSQL for all workers: started by the controller, which outlives them."""

    def __init__(self, config: pytest.Config) -> None:
        self._running = ExitStack()
        self._input: dict[str, str] = {}
        config.add_cleanup(self._running.close)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self) -> None:
        try:
            self._input["postgres_url"] = self._running.enter_context(postgres.server())
        except ServerUnavailable as error:
            self._input["postgres_error"] = str(error)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput.update(self._input)


def pytest_configure(config: pytest.Config) -> None:
    # What a shell runs in the background ignores Ctrl-C, and so would all that we start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_SharedServers(config))


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a PostgreSQL server on which databases may be made."""
    shared = getattr(request.config, "workerinput", {})
    if "postgres_error" in shared:
        raise ServerUnavailable(shared["postgres_error"])
    with ExitStack() as running:
        yield shared.get("postgres_url") or running.enter_context(postgres.server())


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """The name of a migrated, empty database to copy."""
    with postgres.database(postgres_server) as url:
        _migrate(url)
        yield postgres.database_name(url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a migrated, empty database that nobody has open."""
    file = tmp_path_factory.mktemp("template") / "ops.db"
    _migrate(_sqlite_url(file))
    beside = [each.name for each in file.parent.iterdir() if each != file]
    assert not beside, f"the migrated template was left open: {beside}"
    return file


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh, migrated SQLite database of this test's own."""
    return _sqlite_url(Path(shutil.copyfile(sqlite_template, tmp_path / "ops.db")))


@pytest.fixture(scope="session")
def emptied_postgres(postgres_server: str, postgres_template: str) -> Iterator[EmptiedPostgres]:
    """Migrated databases to lend."""
    with closing(EmptiedPostgres(postgres_server, postgres_template)) as databases:
        yield databases


@pytest.fixture
def postgresql_url(emptied_postgres: EmptiedPostgres) -> Iterator[str]:
    """A migrated PostgreSQL database with nothing in it, of this test's own."""
    with emptied_postgres.database() as url:
        yield url


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """A SQLite database that does not exist yet."""
    return _sqlite_url(tmp_path / "ops.db")


@pytest.fixture
def empty_postgresql_url(postgres_server: str) -> Iterator[str]:
    """A PostgreSQL database without a table."""
    with postgres.database(postgres_server) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated database, on each of the two systems in turn."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """A database without a table, on each of the two systems in turn."""
    return str(request.getfixturevalue(f"empty_{request.param}_url"))


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a Redis server."""
    with redis.server() as url:
        yield url


@pytest.fixture(scope="session")
def provided_chromium() -> chromium.Chromium:
    """A browser, and the environment it needs."""
    return chromium.provide()


# Per module, not per session: while Playwright's synchronous driver lives, its event loop counts as running
# in this thread, and another module's asyncio.run() would fail.
@pytest.fixture(scope="module")
def browser(provided_chromium: chromium.Chromium) -> Iterator[Browser]:
    """A headless browser that reaches loopback only."""
    with chromium.launched(provided_chromium) as launched:
        yield launched


@pytest.fixture
def page_complaints() -> list[str]:
    """What the page did wrong so far; a test that provokes an error looks at it and clears it."""
    return []


@pytest.fixture
def page(browser: Browser, page_complaints: list[str]) -> Iterator[Page]:
    """A page in a context of its own; console errors, uncaught ones and foreign requests fail the test."""
    with _watched(browser, page_complaints) as opened:
        yield opened
    assert page_complaints == []


@pytest.fixture
def other_tab(page: Page, page_complaints: list[str]) -> Iterator[Page]:
    """Another tab of the same browser, watched too."""
    with _watched_tab(page.context, page_complaints) as opened:
        yield opened


@pytest.fixture
def second_page(browser: Browser, page_complaints: list[str]) -> Iterator[Page]:
    """Another person's page, watched as the first one is."""
    with _watched(browser, page_complaints) as opened:
        yield opened
    assert page_complaints == []


@contextmanager
def _watched(browser: Browser, page_complaints: list[str]) -> Iterator[Page]:
    context = browser.new_context()
    context.on("request", lambda request: page_complaints.extend(_foreign(request)))
    with _watched_tab(context, page_complaints) as opened:
        yield opened
    context.close()


@contextmanager
def _watched_tab(context: BrowserContext, page_complaints: list[str]) -> Iterator[Page]:
    opened = context.new_page()
    opened.on("pageerror", lambda error: page_complaints.append(f"uncaught: {error}"))
    opened.on("console", lambda message: page_complaints.extend(_errors(message)))
    yield opened
    opened.close()


def _errors(message: ConsoleMessage) -> list[str]:
    return [f"console: {message.text}"] if message.type == "error" else []


def _foreign(request: Request) -> list[str]:
    parts = urlsplit(request.url)
    local = parts.scheme in ("data", "blob", "about") or parts.hostname in ("127.0.0.1", "::1", "localhost")
    return [] if local else [f"foreign request: {request.url}"]


def _sqlite_url(file: Path) -> str:
    return str(make_url("sqlite://").set(database=str(file)))


def _migrate(url: str) -> None:
    from projections.database.database import Database
    from projections.database.migrate import upgrade

    with Database(url) as database:
        upgrade(database)
