"""What the rebuild command says: a bar and sentences for people, JSON lines for scripts."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from projections.rebuild import rebuild
from projections.rebuild.verify import FOLD, Difference, StageCounts

SHOWN_DIFFERENCES: Final = 50


class Report:
    """Results go to standard output, progress to standard error; `quiet` leaves only errors."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.differences = 0
        self.raising = 0
        """How many of them are events the fold raises on."""
        self._started = time.monotonic()

    @contextmanager
    def progress(self) -> Iterator[rebuild.Progress]:
        """A progress callback."""
        if self.as_json or self.quiet or not sys.stderr.isatty():
            yield self._progress_line
            return
        # Loading it takes as long as a small rebuild.
        from projections.rebuild.progress import bar

        with bar() as show:
            yield show

    def difference(self, difference: Difference) -> None:
        """One field that is not what the log says; people are shown the first few."""
        self.differences += 1
        self.raising += difference.field == FOLD
        if self.as_json:
            print(json.dumps({"difference": difference._asdict()}, default=str))
        elif not self.quiet and self.differences <= SHOWN_DIFFERENCES:
            subject, field, stored, expected = difference
            print(f"{subject}: {field} is {stored!r}, the log says {expected!r}")

    def stages(self, counts: StageCounts) -> None:
        """Sessions by stage, before and after."""
        if self.as_json or self.quiet:
            return
        print(f"{'stage':18}{'now':>12}{'rebuilt':>12}")
        for stage in sorted(counts.stored.keys() | counts.expected.keys(), key=str):
            print(f"{stage or '(none)':18}{counts.stored[stage]:>12,}{counts.expected[stage]:>12,}")

    def result(self, text: str, **facts: Any) -> None:
        """The last word: a sentence, or one JSON object."""
        seconds = round(time.monotonic() - self._started, 3)
        if self.as_json:
            print(json.dumps({**facts, "seconds": seconds}))
        elif not self.quiet:
            print(f"{text} ({seconds:.1f} s)")

    def _progress_line(self, phase: str, done: int, total: int) -> None:
        if self.as_json and not self.quiet:
            print(json.dumps({"phase": phase, "done": done, "total": total}), flush=True)
