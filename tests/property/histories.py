"""Generated histories: few sessions, ids and instants, so that ties, lateness and repeats are common."""

from collections import defaultdict
from typing import Any

from hypothesis import strategies as st

from portal_hooks.instants import MINUTE, format_instant
from projections.database.tables import REACHED
from projections.envelope import Delivery, parse_envelope
from tests.deliveries import START
from tests.property.oracle import RANKS, STAGE_ORDER, OracleEvent, fold

SOURCES = ("portal", "Portal-2")

# Code-point order is neither that of a dictionary nor case-blind: B < _ < a.
EVENT_IDS = [first + second for first in "B_a-9:" for second in "0aZ"]

_texts = st.sampled_from(["dns_timeout", "é", "carbonio_error"])
_facts = st.fixed_dictionaries(
    {},
    optional={
        "success": st.booleans() | st.just("false"),
        "infra_status": st.sampled_from(["ok", "warning", "skipped", "Ok", "", True, False, None]),
        "step": _texts | st.booleans(),
        "code": _texts | st.sampled_from([None, ""]),
        "reason": _texts,
        "domain": st.sampled_from(["inner.pt", "xn--caf-dma.pt"]),
    },
)


def events(instants: st.SearchStrategy[int], sessions: list[str]) -> st.SearchStrategy[OracleEvent]:
    """One event; `received_at` is before, at, and after the edge where the sender's clock is believed."""
    lead = st.sampled_from([0, 0, 0, -60 * MINUTE, 5 * MINUTE, 5 * MINUTE + 1, 90 * MINUTE])
    return st.builds(
        _event,
        st.sampled_from(EVENT_IDS),
        st.sampled_from([*RANKS, *RANKS, "coffee.served"]),
        st.sampled_from(sessions),
        st.sampled_from(SOURCES),
        instants,
        lead,
        st.sampled_from([None, None, "acme.pt", "example.org"]),
        st.none() | _facts,
    )


def histories(
    instants: st.SearchStrategy[int], sessions: list[str], max_size: int = 14
) -> st.SearchStrategy[list[OracleEvent]]:
    """Events that differ in source or id."""
    return st.lists(
        events(instants, sessions),
        min_size=1,
        max_size=max_size,
        unique_by=lambda e: (e["source"], e["event_id"]),
    )


def near_start() -> st.SearchStrategy[int]:
    """A handful of instants, so that many coincide."""
    return st.integers(0, 6).map(lambda step: START + step * MINUTE)


def by_session(history: list[OracleEvent]) -> dict[str, list[OracleEvent]]:
    """The history taken apart."""
    grouped = defaultdict(list)
    for event in history:
        grouped[event["session_id"]].append(event)
    return dict(grouped)


def to_delivery(event: OracleEvent) -> Delivery:
    """The event on its way into the log."""
    value: dict[str, Any] = {
        "event_id": event["event_id"],
        "event_type": event["event_type"],
        "session_id": event["session_id"],
        "occurred_at": format_instant(event["occurred_at"]),
        "domain": event["domain"],
        "data": event["data"],
    }
    return Delivery(event["source"], event["received_at"], parse_envelope(value))


def expected_row(session_id: str, history: list[OracleEvent]) -> dict[str, Any]:
    """The oracle's row under the table's column names."""
    row = fold(history)
    step, code, reason = row.pop("failure")
    reached = row.pop("reached")
    return {
        "session_id": session_id,
        **row,
        "failure_step": step,
        "failure_code": code,
        "failure_reason": reason,
        **{column: reached[stage] for column, stage in zip(REACHED, STAGE_ORDER, strict=True)},
    }


def expected_rows(history: list[OracleEvent]) -> list[dict[str, Any]]:
    """All rows by the oracle, in id order."""
    return [expected_row(session_id, events) for session_id, events in sorted(by_session(history).items())]


def _event(
    event_id: str,
    event_type: str,
    session_id: str,
    source: str,
    occurred_at: int,
    lead: int,
    domain: str | None,
    data: dict[str, Any] | None,
) -> OracleEvent:
    return {
        "event_id": event_id,
        "event_type": event_type,
        "session_id": session_id,
        "source": source,
        "occurred_at": occurred_at,
        "received_at": occurred_at - lead,
        "domain": domain,
        "data": data,
    }
