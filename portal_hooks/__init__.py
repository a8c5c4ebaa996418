"""The portal's side of onboarding events: emit them, sign them, and the contract they keep."""

from portal_hooks.hooks import OnboardHooks
from portal_hooks.moments import HookStats, OnboardMoments
from portal_hooks.settings import ConfigurationError

__all__ = ["ConfigurationError", "HookStats", "OnboardHooks", "OnboardMoments"]
