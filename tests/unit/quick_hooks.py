"""Hooks that try again at once: for tests that wait for what they do."""

from pathlib import Path
from typing import Any, Final

from portal_hooks import OnboardHooks
from portal_hooks.delivery.breaker import Pace
from portal_hooks.settings import HookSettings
from portal_hooks.signing import parse_secret
from tests.servers.webhook_receiver import SECRET

QUICK: Final = Pace(first=0.005, longest=0.02, open_interval=0.05, paused_interval=0.1)


def quick_hooks(url: str, folder: Path, *, timeout: float = 5.0, **settings: Any) -> OnboardHooks:
    """Hooks that send to `url` and keep their spool in `folder`."""
    return OnboardHooks(
        HookSettings(url, parse_secret(SECRET), folder, **settings), pace=QUICK, timeout=timeout
    )
