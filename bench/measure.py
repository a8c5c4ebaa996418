"""Measuring on a machine that others use too: alternate the contestants, take medians, show the spread.

A ratio is taken round by round, between runs that lie seconds apart, and its median is what counts: noise
that lasts longer than a round hits both sides alike.
"""

import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

Sample = TypeVar("Sample")


@dataclass(frozen=True)
class Figure:
    """One measured quantity, a sample for each round."""

    name: str
    unit: str
    samples: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)


@dataclass(frozen=True)
class Bar:
    """What a figure has to reach."""

    name: str
    value: float
    relation: str
    """`>=` or `<=`."""
    bound: float
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.value >= self.bound if self.relation == ">=" else self.value <= self.bound


@dataclass
class Report:
    """What one script measured."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def show(self, as_json: bool) -> None:
        """Print tables for people, or one JSON object."""
        if as_json:
            print(json.dumps(self._facts()))
            return
        console = Console(highlight=False)
        console.print(f"\n[bold]{self.title}[/bold]\n{machine()}")
        for note in self.notes:
            console.print(f"- {note}")
        console.print(self._figure_table())
        console.print(self._bar_table())

    def _facts(self) -> dict[str, Any]:
        figures = [
            {"name": item.name, "unit": item.unit, "median": item.median, "samples": list(item.samples)}
            for item in self.figures
        ]
        bars = [vars(bar) | {"met": bar.met} for bar in self.bars]
        return {
            "title": self.title,
            "machine": machine(),
            "notes": self.notes,
            "figures": figures,
            "bars": bars,
        }

    def _figure_table(self) -> Table:
        table = Table("", "median", "lowest", "highest", "runs", "unit")
        for item in self.figures:
            numbers = (item.median, min(item.samples), max(item.samples))
            table.add_row(item.name, *map(_number, numbers), str(len(item.samples)), item.unit)
        return table

    def _bar_table(self) -> Table:
        table = Table("bar", "measured", "wanted", "")
        for bar in self.bars:
            wanted = f"{bar.relation} {_number(bar.bound)} {bar.unit}"
            table.add_row(
                bar.name, f"{_number(bar.value)} {bar.unit}", wanted, "met" if bar.met else "MISSED"
            )
        return table


def alternate(contestants: Mapping[str, Callable[[], Sample]], rounds: int) -> dict[str, list[Sample]]:
    """Run every contestant once in each round; who begins changes from round to round."""
    samples: dict[str, list[Sample]] = {name: [] for name in contestants}
    order = list(contestants)
    for _ in range(rounds):
        for name in order:
            samples[name].append(contestants[name]())
        order.append(order.pop(0))
    return samples


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def machine() -> str:
    """Whose figures these are."""
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()},"
        f" load {os.getloadavg()[0]:.1f} at the end"
    )


def sync_milliseconds() -> float:
    """What this disk asks for one durable 4 KiB write: the floor under every commit."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(4096 * 200))
        os.fsync(file.fileno())

        def write(block: int) -> None:
            os.pwrite(file.fileno(), b"x" * 4096, block * 4096)
            os.fdatasync(file.fileno())

        times = [seconds(lambda block=block: write(block)) for block in range(200)]  # type: ignore[misc]
    return statistics.median(times) * 1000


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"
