"""What Prometheus reads at /metrics."""

from collections import Counter as Count
from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram

from projections.log import Receipt

_EVENTS = Counter("ops_events_total", "Authenticated events by what became of them.", ["status"])
EVENTS = {status: _EVENTS.labels(status) for status in ("created", "duplicate", "conflict")}
REJECTED = Counter("ops_rejected_deliveries_total", "Signed deliveries, or items of them, that were refused.")
SIGNATURES_REJECTED = Counter(
    "ops_signatures_rejected_total", "Deliveries refused for their signature.", ["reason"]
)
GROUP_SIZE = Histogram(
    "ops_commit_group_events", "Events committed together.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
)
STREAMS = Gauge("ops_live_streams", "Live streams that are open.")
QUARANTINED = Gauge("ops_quarantined_events", "Events the fold raised on, waiting for a retry.")
VERIFIED_AT = Gauge("ops_projection_verified_timestamp_seconds", "When the rows were last verified.")
VERIFIED_DIFFERENCES = Gauge("ops_projection_verified_differences", "Differences the last verify found.")
STALE = Gauge("ops_projection_stale", "1 when the rows were built by older logic.")


def observe_group(receipts: Sequence[Receipt]) -> None:
    """Count what became of a group of events that were committed together."""
    GROUP_SIZE.observe(len(receipts))
    for status, number in Count(receipt.status for receipt in receipts).items():
        EVENTS[status].inc(number)
