"""How much to fuzz: `FUZZ_EXAMPLES` requests to the application in this process, the rest in proportion."""

import os
from typing import Final

from tests.sizes import size

USUAL: Final = 100_000
REQUESTS: Final = int(os.environ.get("FUZZ_EXAMPLES", size(brief=20_000, long=USUAL)))

TIMEOUT_SECONDS: Final = 300 * max(1, -(-REQUESTS // USUAL))
"""For pytest-timeout, which would end a long run."""


def share(usual: int, least: int = 1) -> int:
    """How many of something to do, where `usual` many belong to a usual run; never fewer than `least`."""
    return max(least, usual * REQUESTS // USUAL)
