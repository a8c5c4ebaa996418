"""docs/contracts/webhook-funnel-events.md, taken apart: its examples and its tables."""

import re
from typing import Final

from tests.contracts.reading_vectors import CONTRACTS

TEXT: Final = (CONTRACTS / "webhook-funnel-events.md").read_text(encoding="utf-8")

_EXAMPLE = re.compile(r"<!-- example: ([a-z-]+) -->\n```[a-z]+\n(.*?)\n```\n", re.DOTALL)
_ROW = re.compile(r"^\| (.*) \|$", re.MULTILINE)

EXAMPLES: Final = dict(_EXAMPLE.findall(TEXT))
"""Each fenced block by the name in the comment above it."""

FENCES: Final = len(re.findall(r"^```[a-z]+$", TEXT, re.MULTILINE))


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose first header cell is `heading`, without its head."""
    table = TEXT[TEXT.index(f"\n| {heading} |") :].partition("\n\n")[0]
    return [[cell.strip() for cell in row.split("|")] for row in _ROW.findall(table)[1:]]
