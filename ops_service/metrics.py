"""What Prometheus reads at /metrics."""

import os
from collections import Counter as Count
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from projections.log import Receipt

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which prometheus_client learns, when it is imported, where several processes count."""

_EVENTS = Counter("ops_events_total", "Authenticated events by what became of them.", ["status"])
EVENTS = {status: _EVENTS.labels(status) for status in ("created", "duplicate", "conflict")}
REJECTED = Counter("ops_rejected_deliveries_total", "Signed deliveries, or items of them, that were refused.")
SIGNATURES_REJECTED = Counter(
    "ops_signatures_rejected_total", "Deliveries refused for their signature.", ["reason"]
)
GROUP_SIZE = Histogram(
    "ops_commit_group_events", "Events committed together.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
)
CONNECTIONS_REFUSED = Counter("ops_connections_refused_total", "Connections beyond those there may be.")
UNAVAILABLE = Counter(
    "ops_database_refusals_total",
    "Requests answered 503 because the database was busy, full or out of reach.",
)
STREAMS = Gauge("ops_live_streams", "Live streams that are open.", multiprocess_mode="livesum")

STORED: Final = {
    "ops_database_up": "1 when the database answers; without it none of its other gauges is there.",
    "ops_quarantined_events": "Events the fold raised on, waiting for a retry.",
    "ops_projection_verified_timestamp_seconds": "When the rows were last verified.",
    "ops_projection_verified_differences": "Differences the last verify found.",
    "ops_projection_stale": "1 when the rows were built by older logic.",
}
"""Gauges that are read from the database at each scrape: they belong to no process."""


def observe_group(receipts: Sequence[Receipt]) -> None:
    """Count what became of a group of events that were committed together."""
    GROUP_SIZE.observe(len(receipts))
    for status, number in Count(receipt.status for receipt in receipts).items():
        EVENTS[status].inc(number)


def exposition(stored: Mapping[str, float]) -> bytes:
    """Prometheus' text form of what the processes counted and of the `STORED` gauges that are known."""
    return generate_latest(_Scrape(stored))


class _Scrape(Collector):
    def __init__(self, stored: Mapping[str, float]) -> None:
        self._stored = stored

    def collect(self) -> Iterator[Metric]:
        yield from _counted()
        for name, value in self._stored.items():
            yield GaugeMetricFamily(name, STORED[name], value)


def _counted() -> Iterable[Metric]:
    folder = os.environ.get(FOLDER)
    if folder is None:
        return REGISTRY.collect()
    _forget_the_dead(Path(folder))
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return registry.collect()


def _forget_the_dead(folder: Path) -> None:
    """What a process that ended has counted stays; the streams it served are gone."""
    for file in folder.glob("gauge_live*.db"):
        try:
            os.kill(int(file.stem.rpartition("_")[2]), 0)
        except OSError:
            file.unlink(missing_ok=True)
