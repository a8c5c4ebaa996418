"""Tickets over HTTP: lists, one whole, changes without lost updates, notes, what a rebuild leaves alone."""

from typing import Any

import httpx
import pytest

from projections.onboarding.tickets import READY_NOTE, READY_TAG
from projections.rebuild import rebuild, repair
from tests.rebuilds import no_progress
from tests.running_ops import RunningOps, event

TICKETS = "/api/v1/desk/tickets"


def ticket_of(ops: RunningOps, session_id: str, *event_types: str, **fields: Any) -> Any:
    for event_type in event_types:
        assert ops.send(event(event_type, session_id, **fields)).status_code == 201
    return detail(ops, session_id)


def detail(ops: RunningOps, session_id: str) -> Any:
    [found] = ops.get(TICKETS, q=session_id)["tickets"]
    return ops.get(f"{TICKETS}/{found['id']}")


def patch(ops: RunningOps, ticket: Any, version: int | None = None, **changes: Any) -> httpx.Response:
    headers = {"if-match": f'"{version or ticket["version"]}"', **ops.bearer("write")}
    return ops.http.patch(f"{TICKETS}/{ticket['id']}", json=changes, headers=headers)


def test_a_ticket_comes_with_session_timeline_and_notes(ops: RunningOps) -> None:
    ticket = ticket_of(ops, "s1", "account.created", "onboarding.completed", domain="acme.pt")
    assert [
        ticket[name] for name in ("session_id", "domain", "status", "assignee", "tags", "current_stage")
    ] == [
        "s1",
        "acme.pt",
        "open",
        None,
        [READY_TAG],
        "completed",
    ]
    assert ticket["session"] == ops.get("/api/v1/onboard/sessions/s1")
    assert ticket["timeline"] == ops.get("/api/v1/onboard/sessions/s1/timeline")
    assert [(note["kind"], note["body"]) for note in ticket["notes"]] == [("system", READY_NOTE)]


def test_large_data_is_cut_in_the_ticket_only(ops: RunningOps) -> None:
    data = {"code": "x", "log": "é" * 2000, "step": "dns"}
    ticket = ticket_of(ops, "s1", "onboarding.failed", data=data)
    [cut] = ticket["timeline"]["events"]
    assert (cut["data_truncated"], cut["data"]) == (True, {"code": "x", "step": "dns"})
    [whole] = ops.get("/api/v1/onboard/sessions/s1/timeline")["events"]
    assert (whole["data_truncated"], whole["data"]) == (False, data)


def test_a_change_is_stored_noted_and_raises_the_version(ops: RunningOps) -> None:
    ticket = ticket_of(ops, "s1", "onboarding.failed")
    answer = patch(ops, ticket, status="in_progress", assignee="  Ana  ", tags=["vip", "dns", "vip"])
    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["status"], changed["assignee"], changed["tags"]) == ("in_progress", "Ana", ["dns", "vip"])
    assert changed["version"] == ticket["version"] + 1
    assert answer.headers["etag"] == f'"{changed["version"]}"'
    assert sorted(note["body"] for note in changed["notes"]) == [
        "assignee: Ana",
        "status: in_progress",
        "tags: dns, vip",
    ]
    assert {(note["kind"], note["author"]) for note in changed["notes"]} == {("change", "test-write")}
    assert detail(ops, "s1") == changed
    freed = patch(ops, changed, assignee=None).json()
    assert (freed["assignee"], freed["status"]) == (None, "in_progress")


def test_the_etag_of_a_ticket_is_what_if_match_wants(ops: RunningOps) -> None:
    ticket = ticket_of(ops, "s1", "onboarding.failed")
    etag = ops.http.get(f"{TICKETS}/{ticket['id']}").headers["etag"]
    path = f"{TICKETS}/{ticket['id']}"
    assert ops.http.patch(path, json={"status": "closed"}, headers={"if-match": etag}).status_code == 200
    assert ops.http.patch(path, json={"status": "open"}, headers={"if-match": etag}).status_code == 412


def test_a_change_without_if_match_is_refused(ops: RunningOps) -> None:
    ticket = ticket_of(ops, "s1", "onboarding.failed")
    answer = ops.http.patch(f"{TICKETS}/{ticket['id']}", json={"status": "closed"})
    assert (answer.status_code, answer.headers["content-type"]) == (428, "application/problem+json")
    assert detail(ops, "s1") == ticket


@pytest.mark.parametrize("etag", ['"99"', "1", 'W/"1"', "", '"x"', '"1', '"98", "99"'])
def test_another_version_is_refused(ops: RunningOps, etag: str) -> None:
    ticket = ticket_of(ops, "s1", "onboarding.failed")
    path = f"{TICKETS}/{ticket['id']}"
    answer = ops.http.patch(path, json={"status": "closed"}, headers={"if-match": etag})
    assert (answer.status_code, answer.headers["content-type"]) == (412, "application/problem+json")
    assert detail(ops, "s1") == ticket


def test_any_of_several_versions_may_be_asked_for(ops: RunningOps) -> None:
    ticket = ticket_of(ops, "s1", "onboarding.failed")
    path = f"{TICKETS}/{ticket['id']}"
    for status, wanted in (("closed", f'"99", "{ticket["version"]}"'), ("open", "*")):
        assert ops.http.patch(path, json={"status": status}, headers={"if-match": wanted}).status_code == 200


def test_a_change_to_what_is_already_so_is_no_change(ops: RunningOps) -> None:
    ticket = ticket_of(ops, "s1", "onboarding.failed")
    answer = patch(ops, ticket, status="open", tags=[])
    assert (answer.status_code, answer.json()["version"], answer.json()["notes"]) == (
        200,
        ticket["version"],
        [],
    )


def test_the_projector_s_change_counts_as_one(ops: RunningOps) -> None:
    ticket = ticket_of(ops, "s1", "account.created")
    ready = ticket_of(ops, "s1", "onboarding.completed")
    assert ready["version"] > ticket["version"]
    assert patch(ops, ticket, tags=["mine"]).status_code == 412
    assert detail(ops, "s1")["tags"] == [READY_TAG]


def test_notes_are_added_in_order(ops: RunningOps) -> None:
    ticket = ticket_of(ops, "s1", "onboarding.failed")
    texts = ["first\nline", "<script>alert(1)</script>", "  é\U0001f600  "]
    for text in texts:
        answer = ops.http.post(f"{TICKETS}/{ticket['id']}/notes", json={"body": text})
        assert answer.status_code == 201
        assert answer.json()["author"] == "test-admin"
    notes = detail(ops, "s1")["notes"]
    assert [(note["kind"], note["body"]) for note in notes] == [("note", text.strip()) for text in texts]


def test_a_dismissed_ready_tag_stays_away_after_a_rebuild(ops: RunningOps) -> None:
    ticket = ticket_of(ops, "s1", "account.created", "onboarding.completed")
    changed = patch(ops, ticket, tags=["checked"], status="resolved", assignee="ana").json()
    assert changed["tags"] == ["checked"]
    assert ops.http.post(f"{TICKETS}/{ticket['id']}/notes", json={"body": "done"}).status_code == 201
    before = detail(ops, "s1")
    rebuild.rebuild(ops.database, no_progress)
    assert repair.rebuild_session(ops.database, "s1")
    assert detail(ops, "s1") == before
    after = ticket_of(ops, "s1", "onboarding.failed", "onboarding.completed")
    assert (after["tags"], after["status"], after["assignee"]) == (["checked"], "resolved", "ana")
    assert ops.get(TICKETS, tag=READY_TAG)["total"] == 0
    back = patch(ops, after, tags=["checked", READY_TAG]).json()
    assert back["tags"] == ["checked", READY_TAG]


def test_the_ready_tag_of_a_session_that_is_not_ready_is_no_change(ops: RunningOps) -> None:
    ticket = ticket_of(ops, "s1", "account.created")
    answer = patch(ops, ticket, tags=[READY_TAG])
    after = detail(ops, "s1")
    assert READY_TAG not in after["tags"]
    assert answer.status_code == 422 or (after["version"], after["notes"]) == (ticket["version"], [])


@pytest.fixture
def filled(ops: RunningOps) -> RunningOps:
    """Three tickets: s1 closed and Ana's, s2 ready, S-3 failed."""
    one = ticket_of(ops, "s1", "account.created", domain="acme.pt")
    assert patch(ops, one, status="closed", assignee="ana", tags=["vip"]).status_code == 200
    ticket_of(ops, "s2", "account.created", "onboarding.completed", domain="acme.com")
    ticket_of(ops, "S-3", "onboarding.failed")
    return ops


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["S-3", "s2", "s1"]),
    ({"status": "closed"}, ["s1"]),
    ({"status": "open"}, ["S-3", "s2"]),
    ({"stage": "failed"}, ["S-3"]),
    ({"stage": "completed"}, ["s2"]),
    ({"tag": READY_TAG}, ["s2"]),
    ({"tag": "vip"}, ["s1"]),
    ({"tag": "nothing"}, []),
    ({"assignee": "ana"}, ["s1"]),
    ({"q": "acme"}, ["s2", "s1"]),
    ({"q": "ACME.com"}, ["s2"]),
    ({"q": "s-3"}, ["S-3"]),
    ({"q": "%"}, []),
    ({"status": "open", "q": "acme"}, ["s2"]),
]


def test_lists(filled: RunningOps) -> None:
    for params, found in FILTERS:
        answer = filled.get(TICKETS, **params)
        assert [each["session_id"] for each in answer["tickets"]] == found, params
        assert (answer["total"], answer["next_cursor"]) == (len(found), None), params


def test_pages_have_no_gap_and_no_repeat(filled: RunningOps) -> None:
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = filled.get(TICKETS, limit=1, **({"cursor": cursor} if cursor else {}))
        assert page["total"] == 3
        seen += [each["session_id"] for each in page["tickets"]]
        cursor = page["next_cursor"]
    assert seen == ["S-3", "s2", "s1"]


def test_a_ticket_says_since_when_its_session_stands_where_it_stands(ops: RunningOps) -> None:
    times = [f"2026-06-08T12:0{minute}:00.000000Z" for minute in range(3)]
    for at, kind in zip(times, ("dns.applied", "account.created", "onboarding.failed"), strict=True):
        assert ops.send(event(kind, "s1", occurred_at=at)).status_code == 201
    assert detail(ops, "s1")["stage_since"] == times[2]
    assert ops.send(event("account.created", "s2", occurred_at=times[1])).status_code == 201
    assert ops.send(event("domain.validated", "s2", occurred_at=times[2])).status_code == 201
    assert detail(ops, "s2")["stage_since"] == times[1]


def test_tickets_by_state_and_without_anybody(ops: RunningOps) -> None:
    old = "2026-06-08T12:00:00Z"
    ticket_of(ops, "idle", "account.created", occurred_at=old)
    ticket_of(ops, "working", "account.created")
    taken = ticket_of(ops, "broken", "onboarding.failed")
    assert patch(ops, taken, assignee="Ana").status_code == 200

    def found(**params: Any) -> set[str]:
        answer = ops.get(TICKETS, **params)
        assert answer["total"] == len(answer["tickets"])
        return {ticket["session_id"] for ticket in answer["tickets"]}

    assert found(state="stalled") == {"idle"}
    assert found(state=["stalled", "failed"]) == {"idle", "broken"}
    assert found(assignee="") == {"idle", "working"}
    assert found(assignee="Ana") == {"broken"}
    stalled = {ticket["session_id"]: ticket["stalled"] for ticket in ops.get(TICKETS)["tickets"]}
    assert stalled == {"idle": True, "working": False, "broken": False}
