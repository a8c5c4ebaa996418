"""The reference portal as a process to send load to: with hooks that report, or with hooks that do nothing.

`python -m bench.wizard_portal PORT` is configured as any portal; without OPS_WEBHOOK_URL hooks are silent.
"""

from __future__ import annotations

import os
import sys

import uvicorn

from portal_hooks import OnboardHooks, OnboardMoments, contract
from portal_hooks.event_encoding import EncodedEvent
from portal_hooks.reference_portal import create_app
from portal_hooks.testing import RecordedHooks


class SilentHooks(RecordedHooks):
    """What a portal without hooks pays: a call that returns."""

    def _keep(self, event: EncodedEvent, durable: bool) -> None:
        raise AssertionError("a silent hook was called")


def _silent(*_args: object, **_kwargs: object) -> None:
    return None


for _moment in (*contract.STAGES, contract.FAILED_STAGE):  # moments are named as the stages they report
    setattr(SilentHooks, _moment, _silent)


def main() -> None:
    """Serve on loopback until told to stop."""
    hooks: OnboardMoments = OnboardHooks.from_env() if os.environ.get("OPS_WEBHOOK_URL") else SilentHooks()
    uvicorn.run(create_app(hooks), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
