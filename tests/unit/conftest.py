"""The other side of a portal, its hooks, and a portal whose time the test lets pass."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from portal_hooks import OnboardHooks
from tests.servers.webhook_receiver import Receiver, receiving
from tests.unit.quick_hooks import quick_hooks
from tests.unit.stepped_portal import SteppedPortal


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def hooks(receiver: Receiver, tmp_path: Path) -> Iterator[OnboardHooks]:
    """Send to `receiver`; closed after the test."""
    made = quick_hooks(receiver.url, tmp_path)
    yield made
    made.close()


@pytest.fixture
def stepped(receiver: Receiver, tmp_path: Path) -> Iterator[SteppedPortal]:
    """Emits to `receiver`, whose clock goes with the portal's."""
    made = SteppedPortal(tmp_path, receiver.url)
    receiver.date = receiver.signed_at = made.clock
    yield made
    made.delivery.close()
