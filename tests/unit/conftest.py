"""The other side of a portal, and a portal whose time the test lets pass."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.webhook_receiver import Receiver, receiving
from tests.unit.stepped_portal import SteppedPortal


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def stepped(receiver: Receiver, tmp_path: Path) -> Iterator[SteppedPortal]:
    """Emits to `receiver`, whose clock goes with the portal's."""
    made = SteppedPortal(tmp_path, receiver.url)
    receiver.date = receiver.signed_at = made.clock
    yield made
    made.delivery.close()
