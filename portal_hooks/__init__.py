"""The portal's side of onboarding events: emit them, sign them, and the contract they keep."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portal_hooks.hooks import OnboardHooks
    from portal_hooks.moments import HookStats, OnboardMoments
    from portal_hooks.settings import ConfigurationError

__all__ = ["ConfigurationError", "HookStats", "OnboardHooks", "OnboardMoments"]

_MODULE_OF = {
    "ConfigurationError": "settings",
    "HookStats": "moments",
    "OnboardHooks": "hooks",
    "OnboardMoments": "moments",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: whoever only reads the contract shall not wait for the HTTP client.
    if name in _MODULE_OF:
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
