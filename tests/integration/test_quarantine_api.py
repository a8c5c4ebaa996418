"""Quarantine over the API: what the fold raises on is kept, listed with its error, taken in by a retry."""

from collections.abc import Callable
from typing import Any

import pytest

from projections.database.bulk import run_many
from projections.onboarding import fold
from projections.onboarding.events import Event
from projections.onboarding.fold import Effect, Session
from projections.rebuild import rebuild
from tests.rebuilds import differences, no_progress
from tests.running_ops import RunningOps, event

QUARANTINE = "/api/v1/quarantine"
RETRY = f"{QUARANTINE}/retry"


class FailingFold:
    """The real fold, which raises on the event types named."""

    def __init__(self, healthy: Callable[[Session, Event], Effect]) -> None:
        self.raises_on: tuple[str, ...] = ()
        self._healthy = healthy

    def __call__(self, session: Session, event: Event) -> Effect:
        effect = self._healthy(session, event)
        if event.event_type in self.raises_on:
            raise KeyError("kaputt")
        return effect


@pytest.fixture
def failing_fold(monkeypatch: pytest.MonkeyPatch) -> FailingFold:
    """Raises on dns.applied and infra.synced until told otherwise."""
    failing = FailingFold(fold.apply)
    failing.raises_on = ("dns.applied", "infra.synced")
    monkeypatch.setattr(fold, "apply", failing)
    return failing


@pytest.fixture
def parked(ops: RunningOps, failing_fold: FailingFold) -> RunningOps:
    """Three quarantined events of two sessions, and one that is all right."""
    for kind, session_id in (
        ("onboarding.started", "s1"),
        ("dns.applied", "s1"),
        ("infra.synced", "s1"),
        ("dns.applied", "s2"),
    ):
        event_id = f"{kind}:{session_id}".replace(".", "-")
        assert ops.send(event(kind, session_id, event_id=event_id)).status_code == 201
    return ops


def listed(ops: RunningOps, **params: Any) -> list[tuple[int, str, str]]:
    body = ops.get(QUARANTINE, **params)
    return [(each["position"], each["session_id"], each["event_type"]) for each in body["events"]]


def retry(ops: RunningOps, scope: str = "write", **params: Any) -> Any:
    return ops.http.post(RETRY, params=params, headers=ops.bearer(scope))


def test_what_is_quarantined_is_listed_with_its_error(parked: RunningOps) -> None:
    body = parked.get(QUARANTINE)
    assert (body["total"], body["next_cursor"]) == (3, None)
    first = body["events"][0]
    assert first.pop("quarantined_at").endswith("Z")
    assert first == {
        "position": 2,
        "session_id": "s1",
        "event_id": "dns-applied:s1",
        "event_type": "dns.applied",
        "error": "KeyError: 'kaputt'",
    }
    assert listed(parked)[1:] == [(3, "s1", "infra.synced"), (4, "s2", "dns.applied")]


def test_the_list_comes_in_pages(parked: RunningOps) -> None:
    first = parked.get(QUARANTINE, limit=2)
    assert (first["total"], [each["position"] for each in first["events"]]) == (3, [2, 3])
    second = parked.get(QUARANTINE, limit=2, cursor=first["next_cursor"])
    assert (second["total"], [each["position"] for each in second["events"]]) == (3, [4])
    assert second["next_cursor"] is None
    assert parked.get(QUARANTINE, limit=3)["next_cursor"] is None
    for params in ({"limit": 0}, {"limit": 501}, {"cursor": "nonsense"}):
        assert parked.http.get(QUARANTINE, params=params).status_code == 422


def test_the_event_is_kept_and_blocks_nobody(parked: RunningOps, failing_fold: FailingFold) -> None:
    assert [each["position"] for each in parked.get("/api/v1/events")["events"]] == [1, 2, 3, 4]
    assert parked.send(event("domain.validated", "s1")).status_code == 201
    row = parked.get("/api/v1/onboard/sessions/s1")
    assert (row["current_stage"], row["event_count"], row["stale"]) == ("domain_validated", 2, True)
    timeline = parked.get("/api/v1/onboard/sessions/s1/timeline")["events"]
    effects = {each["event_type"]: each["effect"] for each in timeline}
    assert effects == {
        "onboarding.started": "advanced",
        "domain.validated": "advanced",
        "dns.applied": "quarantined",
        "infra.synced": "quarantined",
    }
    assert parked.get("/readyz")["quarantined"] == 3
    assert "\nops_quarantined_events 3.0\n" in parked.http.get("/metrics").text


def test_a_ticket_of_which_all_is_quarantined_still_tells_its_events(
    ops: RunningOps, failing_fold: FailingFold
) -> None:
    assert ops.send(event("onboarding.failed", "s1")).status_code == 201
    failing_fold.raises_on = ("onboarding.failed",)
    rebuild.rebuild(ops.database, no_progress, keep_going=True)
    [row] = ops.get("/api/v1/desk/tickets")["tickets"]
    ticket = ops.get(f"/api/v1/desk/tickets/{row['id']}")
    assert (ticket["session"]["event_count"], ticket["session"]["stale"]) == (0, True)
    assert [each["effect"] for each in ticket["timeline"]["events"]] == ["quarantined"]


def test_it_is_recognised_when_it_comes_again(parked: RunningOps) -> None:
    sent = event("dns.applied", "s3", event_id="again")
    assert [parked.send(sent).status_code for _ in range(2)] == [201, 200]
    assert listed(parked)[3:] == [(5, "s3", "dns.applied")]


def test_a_retry_takes_in_what_no_longer_raises(parked: RunningOps, failing_fold: FailingFold) -> None:
    assert retry(parked).json() == {"sessions": 2, "still_quarantined": 3}
    assert len(listed(parked)) == 3
    failing_fold.raises_on = ("dns.applied",)
    assert retry(parked).json() == {"sessions": 2, "still_quarantined": 2}
    assert listed(parked) == [(2, "s1", "dns.applied"), (4, "s2", "dns.applied")]
    assert parked.get("/api/v1/onboard/sessions/s1")["current_stage"] == "infra_synced"
    failing_fold.raises_on = ()
    assert retry(parked).json() == {"sessions": 2, "still_quarantined": 0}
    assert parked.get(QUARANTINE) == {"total": 0, "events": [], "next_cursor": None}
    assert parked.get("/readyz")["quarantined"] == 0
    row = parked.get("/api/v1/onboard/sessions/s1")
    assert (row["event_count"], row["stale"]) == (3, False)
    assert differences(parked.database) == []


def test_a_retry_of_one_session_leaves_the_others(parked: RunningOps, failing_fold: FailingFold) -> None:
    failing_fold.raises_on = ()
    assert retry(parked, session_id="s1").json() == {"sessions": 1, "still_quarantined": 0}
    assert listed(parked) == [(4, "s2", "dns.applied")]
    for unknown in ("s1", "nobody", ""):
        assert retry(parked, session_id=unknown).status_code == 404
    assert listed(parked) == [(4, "s2", "dns.applied")]


def test_so_many_sessions_are_retried_that_no_single_query_could_name_them(ops: RunningOps) -> None:
    many = 66_000  # PostgreSQL takes 65,535 parameters
    rows = [(number, f"gone-{number}", "KeyError", 0) for number in range(1, many + 1)]
    with ops.database.write() as connection:
        run_many(connection, "INSERT INTO quarantined_events VALUES (?, ?, ?, ?)", rows)
    assert retry(ops).json() == {"sessions": many, "still_quarantined": 0}
    assert ops.get(QUARANTINE)["total"] == 0


def test_nothing_to_retry_is_no_error(ops: RunningOps) -> None:
    assert retry(ops).json() == {"sessions": 0, "still_quarantined": 0}


def test_reading_needs_read_and_retrying_needs_write(parked: RunningOps, failing_fold: FailingFold) -> None:
    failing_fold.raises_on = ()
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer forged"}):
        assert parked.http.get(QUARANTINE, headers=headers).status_code == 401
        assert parked.http.post(RETRY, headers=headers).status_code == 401
    assert parked.http.get(QUARANTINE, headers=parked.bearer("read")).status_code == 200
    assert retry(parked, "read").status_code == 403
    assert len(listed(parked)) == 3
    assert retry(parked, "write").status_code == 200
    assert listed(parked) == []
