"""A rebuild's progress, drawn in a terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from projections.rebuild import rebuild


@contextmanager
def bar() -> Iterator[rebuild.Progress]:
    """A progress callback that draws on standard error; what it has drawn is gone after the block."""
    started = time.monotonic()
    columns = (
        TextColumn("{task.description:8}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} events  {task.fields[rate]:>9,.0f}/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True) as drawn:
        task = drawn.add_task("replay", total=0, rate=0)

        def show(phase: str, done: int, total: int) -> None:
            rate = done / max(time.monotonic() - started, 0.001)
            drawn.update(task, description=phase, completed=done, total=total, rate=rate)

        yield show
