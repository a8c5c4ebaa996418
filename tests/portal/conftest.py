"""What the portals of these tests send to: a real Ops, or a receiver that does as a test tells it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from portal_hooks import OnboardHooks
from portal_hooks.settings import HookSettings
from portal_hooks.signing import parse_secret
from tests.running_ops import RunningOps, running_ops
from tests.servers.webhook_receiver import SECRET, Receiver, receiving


@pytest.fixture
def ops(sqlite_url: str) -> Iterator[RunningOps]:
    """A real service on a fresh database."""
    with running_ops(sqlite_url) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """An empty spool folder."""
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def hooks(receiver: Receiver, spool: Path) -> Iterator[OnboardHooks]:
    made = OnboardHooks(HookSettings(receiver.url, parse_secret(SECRET), spool))
    yield made
    made.close()
