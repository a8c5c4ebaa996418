"""Sessions over HTTP: filters, pages, the row, the timeline and where each field came from."""

from typing import Any

import pytest

from portal_hooks.instants import MINUTE, format_instant, now_instant
from tests.running_ops import SOURCE, RunningOps, event

SESSIONS = "/api/v1/onboard/sessions"


def ids(found: Any) -> list[str]:
    return [each["session_id"] for each in found["sessions"]]


def ago(minutes: float) -> str:
    return format_instant(now_instant() - round(minutes * MINUTE))


def send(ops: RunningOps, event_type: str, session_id: str, minutes_ago: float, **fields: Any) -> int:
    answer = ops.send(event(event_type, session_id, occurred_at=ago(minutes_ago), **fields))
    assert answer.status_code == 201, answer.text
    return int(answer.json()["position"])


@pytest.fixture
def filled(ops: RunningOps) -> RunningOps:
    """Four sessions, newest activity: Sess-A."""
    send(ops, "onboarding.started", "Sess-A", 1, domain="acme.pt")
    send(ops, "onboarding.failed", "sess_b", 2, domain="bücher.example")
    send(ops, "onboarding.completed", "c-1", 3, domain="acme.pt")
    send(ops, "dns.applied", "d:2", 90, domain="dns.acme.pt")
    return ops


LONG_AGO, AHEAD = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["Sess-A", "sess_b", "c-1", "d:2"]),
    ({"stage": "failed"}, ["sess_b"]),
    ({"stage": "dns_applied"}, ["d:2"]),
    ({"state": "active"}, ["Sess-A"]),
    ({"state": "stalled"}, ["d:2"]),
    ({"state": ["completed", "failed"]}, ["sess_b", "c-1"]),
    ({"state": ["active", "stalled"]}, ["Sess-A", "d:2"]),
    ({"state": ["stalled", "active", "failed"]}, ["Sess-A", "sess_b", "d:2"]),
    ({"furthest": "started"}, ["Sess-A", "sess_b"]),
    ({"reached": "dns_applied"}, ["c-1", "d:2"]),
    ({"domain": "ACME.PT."}, ["Sess-A", "c-1"]),
    ({"domain": "bücher.example"}, ["sess_b"]),
    ({"domain": "no host at all"}, []),
    ({"q": "acme"}, ["Sess-A", "c-1", "d:2"]),
    ({"q": "ACME.pt"}, ["Sess-A", "c-1", "d:2"]),
    ({"q": "d:2"}, ["d:2"]),
    ({"q": "_"}, ["sess_b"]),
    ({"q": "%"}, []),
    ({"q": "\\"}, []),
    ({"q": "Bücher.ex"}, ["sess_b"]),
    ({"q": "bücher.example", "since": LONG_AGO, "as_of": AHEAD}, ["sess_b"]),
    ({"q": "nothing"}, []),
    ({"q": "acme", "state": "stalled"}, ["d:2"]),
]


def test_filters(filled: RunningOps) -> None:
    for params, found in FILTERS:
        answer = filled.get(SESSIONS, **params)
        assert ids(answer) == found, params
        assert (answer["total"], answer["next_cursor"]) == (len(found), None), params


def test_a_search_is_blind_to_case_on_every_database(filled: RunningOps) -> None:
    for text in ("sess", "SESS", "Sess"):
        assert ids(filled.get(SESSIONS, q=text)) == ["Sess-A", "sess_b"], text


def test_since_and_until(filled: RunningOps) -> None:
    assert ids(filled.get(SESSIONS, since=ago(2.5))) == ["Sess-A", "sess_b"]
    assert ids(filled.get(SESSIONS, until=ago(2.5))) == ["c-1", "d:2"]
    row = filled.get(f"{SESSIONS}/c-1")
    assert ids(filled.get(SESSIONS, since=row["last_event_at"], until=ago(2.5))) == ["c-1"]
    assert "c-1" not in ids(filled.get(SESSIONS, until=row["last_event_at"]))


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_have_no_gap_and_no_repeat(ops: RunningOps, limit: int) -> None:
    moment = ago(5)
    batch = [event("onboarding.started", f"s{number}", occurred_at=moment) for number in range(7)]
    assert ops.send_batch(batch).status_code == 200
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = ops.get(SESSIONS, limit=limit, **({"cursor": cursor} if cursor else {}))
        assert page["total"] == 7
        seen += ids(page)
        cursor = page["next_cursor"]
    assert seen == [f"s{number}" for number in reversed(range(7))]


def test_the_row(ops: RunningOps) -> None:
    send(ops, "onboarding.started", "s1", 3, domain="acme.pt")
    send(ops, "onboarding.failed", "s1", 2, data={"step": "dns", "code": "dns_timeout", "reason": "none"})
    row = ops.get(f"{SESSIONS}/s1")
    assert row["failure"] == {"step": "dns", "code": "dns_timeout", "reason": "none"}
    assert row["failed_at"] == row["last_event_at"] > row["first_event_at"] == row["reached"]["started"]
    facts = (
        "session_id",
        "source",
        "domain",
        "current_stage",
        "furthest_stage",
        "event_count",
        "stalled",
        "stale",
    )
    assert [row[name] for name in facts] == ["s1", SOURCE, "acme.pt", "failed", "started", 2, False, False]
    assert row["ticket_id"] == ops.get("/api/v1/desk/tickets")["tickets"][0]["id"]
    assert list(row["reached"]) == [
        "started",
        "domain_validated",
        "dns_applied",
        "account_created",
        "infra_synced",
        "completed",
    ]


def test_the_timeline_tells_what_each_event_did(ops: RunningOps) -> None:
    send(ops, "onboarding.completed", "s1", 1, data={"infra_status": "ok"})
    send(ops, "onboarding.started", "s1", 9)
    send(ops, "onboarding.started", "s1", 8)
    send(ops, "coffee.served", "s1", 7, data={"sugar": None})
    send(ops, "onboarding.failed", "s1", 6)
    send(ops, "domain.validated", "s1", 5)
    send(ops, "infra.synced", "s1", 4, data={"success": False})
    send(ops, "onboarding.failed", "s1", 0)
    timeline = ops.get(f"{SESSIONS}/s1/timeline")
    assert [(each["event_type"], each["effect"], each["stage"]) for each in timeline["events"]] == [
        ("onboarding.started", "advanced", "started"),
        ("onboarding.started", "confirmed", "started"),
        ("coffee.served", "noted", None),
        ("onboarding.failed", "failed", "failed"),
        ("domain.validated", "recovered", "domain_validated"),
        ("infra.synced", "noted", "infra_synced"),
        ("onboarding.completed", "advanced", "completed"),
        ("onboarding.failed", "noted", "failed"),
    ]
    assert timeline["total"] == 8
    assert [timeline[name] for name in ("session_id", "current_stage", "infra_status")] == [
        "s1",
        "completed",
        "synced",
    ]
    assert timeline["events"][2]["data"] == {"sugar": None}
    assert timeline["events"][6]["position"] == 1


def test_a_clock_that_runs_ahead_is_shown(ops: RunningOps) -> None:
    claimed = ago(-60)
    send(ops, "onboarding.started", "s1", 1)
    assert ops.send(event("domain.validated", "s1", occurred_at=claimed)).status_code == 201
    _, ahead = ops.get(f"{SESSIONS}/s1/timeline")["events"]
    assert (ahead["clock_skew"], ahead["created_at"]) == (True, claimed)
    assert ops.get(f"{SESSIONS}/s1")["last_event_at"] == ahead["received_at"] < claimed


def test_a_timeline_s_pages_have_no_gap_and_no_repeat(ops: RunningOps) -> None:
    moment = ago(5)
    batch = [event("coffee.served", "s1", event_id=f"e{number}", occurred_at=moment) for number in range(5)]
    assert ops.send_batch(batch).status_code == 200
    page = ops.get(f"{SESSIONS}/s1/timeline", limit=2)
    seen = [each["event_id"] for each in page["events"]]
    send(ops, "coffee.served", "s1", 9)
    while page["next_cursor"]:
        page = ops.get(f"{SESSIONS}/s1/timeline", limit=2, cursor=page["next_cursor"])
        seen += [each["event_id"] for each in page["events"]]
    assert seen == [f"e{number}" for number in range(5)]


def test_explain_names_the_event_behind_each_field(ops: RunningOps) -> None:
    started = send(ops, "onboarding.started", "s1", 3, domain="acme.pt")
    validated = send(ops, "domain.validated", "s1", 2)
    fields = ops.get(f"{SESSIONS}/s1/explain")["fields"]
    set_by = {name: found["position"] if found else None for name, found in fields.items()}
    first = ("domain", "source", "first_event_at", "reached_started")
    assert {name: set_by[name] for name in first} == dict.fromkeys(first, started)
    assert set_by["current_stage"] == set_by["last_event_at"] == set_by["event_count"] == validated
    assert (set_by["infra_status"], set_by["failure_code"], set_by["reached_completed"]) == (None, None, None)
