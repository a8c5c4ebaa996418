"""Batches: a result per item, in order; the good items are stored in one transaction."""

import json
from typing import Any

from sqlalchemy import select

from projections.database.tables import rejected_deliveries
from tests.running_ops import INGRESS, RunningOps, event


def test_a_good_batch_is_stored_in_order(ops: RunningOps) -> None:
    sent = [event("onboarding.started", f"s{number}") for number in range(500)]
    answer = ops.send_batch(sent)
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [result["event_id"] for result in results] == [each["event_id"] for each in sent]
    positions = [result["position"] for result in results]
    assert positions == list(range(positions[0], positions[0] + 500))
    assert ops.get("/api/v1/onboard/funnel")["stages"]["started"] == 500


def test_items_are_judged_one_by_one(ops: RunningOps) -> None:
    known = event("onboarding.started", "s1")
    ops.send(known)
    good = event("domain.validated", "s1")
    items: list[Any] = [known, good, {**known, "data": {"other": 1}}, {**good, "event_type": "!"}, 7, good]
    answer = ops.send_batch(items)
    assert answer.status_code == 207
    results = answer.json()["results"]
    statuses = [result["status"] for result in results]
    assert statuses == ["duplicate", "created", "conflict", "invalid", "invalid", "duplicate"]
    assert "/event_type" in results[3]["detail"]
    assert results[5]["position"] == results[1]["position"]
    assert ops.get("/api/v1/onboard/sessions/s1")["event_count"] == 2
    with ops.database.read() as connection:
        kept = connection.execute(select(rejected_deliveries.c.status)).scalars().all()
    assert kept == [409, 422, 422]
    listed = ops.get("/api/v1/rejected-deliveries", limit=2)
    assert (listed["total"], len(listed["rejected"])) == (3, 2)
    rest = ops.get("/api/v1/rejected-deliveries", limit=2, cursor=listed["next_cursor"])
    assert [row["status"] for row in rest["rejected"]] == [409]
    assert [json.loads(row["body"]) for row in listed["rejected"] + rest["rejected"]] == [
        7,
        items[3],
        items[2],
    ]


def test_conflicting_items_within_one_batch(ops: RunningOps) -> None:
    first = event("onboarding.started", "s1")
    results = ops.send_batch([first, {**first, "session_id": "s2"}]).json()["results"]
    assert [result["status"] for result in results] == ["created", "conflict"]


def test_too_many_items_and_no_array_are_refused(ops: RunningOps) -> None:
    assert ops.send_batch([event("a", "s")] * 501).status_code == 422
    body = json.dumps(event("a", "s")).encode()
    assert ops.send_bytes(body, "delivery", path=f"{INGRESS}/batch").status_code == 422
    assert ops.send_batch([]).json() == {"results": []}


def test_an_item_over_the_event_limit_is_invalid(ops: RunningOps) -> None:
    large = event("a", "s", data={"x": "é" * 40_000})
    answer = ops.send_batch([large, event("a", "s")])
    assert answer.status_code == 207
    assert [result["status"] for result in answer.json()["results"]] == ["invalid", "created"]
