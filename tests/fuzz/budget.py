"""How much to fuzz: `FUZZ_EXAMPLES` requests to the application in this process, the rest in proportion."""

import os
from typing import Final

USUAL: Final = 100_000
REQUESTS: Final = int(os.environ.get("FUZZ_EXAMPLES", USUAL))

TIMEOUT_SECONDS: Final = 300 * max(1, -(-REQUESTS // USUAL))
"""For pytest-timeout, which would end a long run."""


def share(usual: int) -> int:
    """How many of something to do, where `usual` many belong to a usual run."""
    return max(1, usual * REQUESTS // USUAL)
