"""A second, naive reading of the contract's section 4: a session's whole list of events in, its row out.

Written from the contract's text and sharing nothing with the code under test. It keeps no state from event
to event: each field is a question asked of the whole sorted list.
"""

from collections import Counter
from typing import Any

FIVE_MINUTES = 300_000_000

RANKS = {
    "onboarding.started": 1,
    "domain.validated": 2,
    "dns.applied": 3,
    "account.created": 4,
    "infra.synced": 5,
    "onboarding.failed": 6,
    "onboarding.completed": 7,
}

STAGE_ORDER = ["started", "domain_validated", "dns_applied", "account_created", "infra_synced", "completed"]

STAGE_SET_BY = {
    "onboarding.started": "started",
    "domain.validated": "domain_validated",
    "dns.applied": "dns_applied",
    "account.created": "account_created",
    "infra.synced": "infra_synced",
    "onboarding.completed": "completed",
}

OUTCOME_WORDS = {
    "synced": ["ok", "success", "synced", "true"],
    "failed": ["error", "failed", "warn", "warning", "false"],
    "skipped": ["skipped", "disabled"],
}

OracleEvent = dict[str, Any]
"""event_id, event_type, source, occurred_at, received_at (microseconds), domain, data."""


def effective_at(event: OracleEvent) -> int:
    """When the event counts."""
    occurred, received = int(event["occurred_at"]), int(event["received_at"])
    return received if occurred > received + FIVE_MINUTES else occurred


def in_order(events: list[OracleEvent]) -> list[OracleEvent]:
    """The contract's sort. The contract leaves open how one id of two sources is ordered: by source here."""

    def key(event: OracleEvent) -> tuple[Any, ...]:
        code_points = [ord(letter) for letter in event["event_id"]]
        return effective_at(event), RANKS.get(event["event_type"], 0), code_points, event["source"]

    return sorted(events, key=key)


def fold(events: list[OracleEvent]) -> dict[str, Any]:
    """The row of a session that has at least one event."""
    events = in_order(events)
    reached = {stage: _first_time(events, stage) for stage in STAGE_ORDER}
    got_to = [stage for stage in STAGE_ORDER if reached[stage] is not None]
    furthest = got_to[-1] if got_to else None
    failure = _failure(events)
    open_since = effective_at(failure) if failure and not _completed_before(events, failure) else None
    domains = [domain for domain in map(_domain, events) if domain is not None]
    return {
        "source": events[0]["source"],
        "domain": domains[-1] if domains else None,
        "current_stage": _current(furthest, open_since is not None),
        "furthest_stage": furthest,
        "infra_status": _infra_status(events),
        "failed_at": open_since,
        "failure": tuple(_fact(failure, name) for name in ("step", "code", "reason")),
        "failure_count": sum(event["event_type"] == "onboarding.failed" for event in events),
        "event_count": len(events),
        "first_event_at": effective_at(events[0]),
        "last_event_at": effective_at(events[-1]),
        "reached": reached,
    }


def ticket(events: list[OracleEvent]) -> bool | None:
    """None when the session has no ticket, else whether it is ready for Ops."""
    types = {event["event_type"] for event in events}
    if not types & {"account.created", "onboarding.failed"}:
        return None
    return "onboarding.completed" in types


def funnel(
    sessions: list[list[OracleEvent]], since: int, stalled_before: int, until: int | None = None
) -> dict[str, Any]:
    """Counts of the funnel over the sessions with activity in the window, by brute force."""
    rows = [fold(events) for events in sessions if events]
    rows = [row for row in rows if row["last_event_at"] >= since and row["current_stage"]]
    rows = [row for row in rows if until is None or row["last_event_at"] < until]
    for row in rows:
        row["stands_at"] = row["furthest_stage"] or "started"
        row["state"] = _state(row, stalled_before)
    return {
        "total": len(rows),
        "stages": {
            stage: sum(row["current_stage"] == stage for row in rows) for stage in [*STAGE_ORDER, "failed"]
        },
        "steps": {stage: _step(rows, stage) for stage in STAGE_ORDER},
        "active_total": sum(row["state"] in ("active", "stalled") for row in rows),
        "failures": dict(Counter(row["failure"][1] or None for row in rows if row["state"] == "failed")),
    }


def _step(rows: list[dict[str, Any]], stage: str) -> dict[str, int]:
    later = STAGE_ORDER[STAGE_ORDER.index(stage) :]
    here = [row["state"] for row in rows if row["stands_at"] == stage]
    counts = {state: here.count(state) for state in ("failed", "active", "stalled")}
    return {"reached": sum(row["stands_at"] in later for row in rows), **counts}


def _state(row: dict[str, Any], stalled_before: int) -> str:
    if row["current_stage"] in ("completed", "failed"):
        return str(row["current_stage"])
    return "stalled" if row["last_event_at"] < stalled_before else "active"


def _is_progress(event: OracleEvent) -> bool:
    if event["event_type"] == "infra.synced" and (event["data"] or {}).get("success") is False:
        return False
    return event["event_type"] in STAGE_SET_BY


def _first_time(events: list[OracleEvent], stage: str) -> int | None:
    times = [
        effective_at(event)
        for event in events
        if _is_progress(event) and STAGE_SET_BY[event["event_type"]] == stage
    ]
    return min(times) if times else None


def _completed_before(events: list[OracleEvent], event: OracleEvent) -> bool:
    earlier = events[: events.index(event)]
    return any(other["event_type"] == "onboarding.completed" for other in earlier)


def _failure(events: list[OracleEvent]) -> OracleEvent | None:
    """The last failure, unless progress came after it while it was open."""
    failures = [event for event in events if event["event_type"] == "onboarding.failed"]
    if not failures:
        return None
    last = failures[-1]
    cleared = any(_is_progress(event) for event in events[events.index(last) + 1 :])
    return None if cleared and not _completed_before(events, last) else last


def _fact(failure: OracleEvent | None, name: str) -> str | None:
    value = (failure["data"] or {}).get(name) if failure else None
    return value if value is None or isinstance(value, str) else {True: "true", False: "false"}[value]


def _current(furthest: str | None, failure_open: bool) -> str | None:
    if furthest == "completed":
        return "completed"
    return "failed" if failure_open else furthest


def _infra_status(events: list[OracleEvent]) -> str | None:
    said = [word for word in map(_infra_word, events) if word is not None]
    return said[-1] if said else None


def _infra_word(event: OracleEvent) -> str | None:
    data = event["data"] or {}
    if event["event_type"] == "infra.synced":
        return "failed" if data.get("success") is False else "synced"
    if event["event_type"] != "onboarding.completed" or data.get("infra_status") is None:
        return None
    given = data["infra_status"]
    word = str(given).lower() if isinstance(given, bool) else given
    found = [outcome for outcome, words in OUTCOME_WORDS.items() if word in words]
    return found[0] if found else "unknown"


def _domain(event: OracleEvent) -> str | None:
    own = event["domain"]
    inner = (event["data"] or {}).get("domain")
    return own if own is not None else inner
