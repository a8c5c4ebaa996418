"""How far the tests go that could go on for ever: briefly in `make test`, further in `make test-long`."""

import os
from typing import Final

LONG: Final = os.environ.get("TESTS_LONG") == "1"


def size(brief: int, long: int) -> int:
    """How many of something this run does."""
    return long if LONG else brief
