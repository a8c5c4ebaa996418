"""One signed event at the ingress: every row of the contract's table of answers."""

import json
import time
from typing import Any

import pytest
from sqlalchemy import func, select

from portal_hooks.instants import format_instant, now_instant
from portal_hooks.signing import headers_for
from projections.database.tables import rejected_deliveries, webhook_events
from tests.running_ops import INGRESS, KEY, OTHER_KEY, RunningOps, event


def stored(ops: RunningOps) -> int:
    with ops.database.read() as connection:
        return connection.execute(select(func.count()).select_from(webhook_events)).scalar_one()


def rejections(ops: RunningOps) -> list[int]:
    with ops.database.read() as connection:
        return list(connection.execute(select(rejected_deliveries.c.status)).scalars())


def test_a_new_event_is_created_and_projected(ops: RunningOps) -> None:
    sent = event("domain.validated", "s1", domain="Acme.PT.", data={"mx": True})
    answer = ops.send(sent)
    assert answer.status_code == 201
    position = answer.json()["position"]
    assert answer.json() == {"status": "created", "event_id": sent["event_id"], "position": position}
    assert answer.headers["location"] == f"/api/v1/events/{position}"
    assert ops.get(answer.headers["location"])["payload"] == sent
    session = ops.get("/api/v1/onboard/sessions/s1")
    assert session["current_stage"] == "domain_validated"
    assert session["domain"] == "acme.pt"


def test_the_same_content_again_is_a_duplicate_in_any_spelling(ops: RunningOps) -> None:
    sent = event("domain.validated", "s1", domain="acme.pt", data={"a": 1, "b": [1.0, "é"]})
    first = ops.send(sent)
    respelled = json.dumps(dict(reversed(sent.items())), indent=3, ensure_ascii=False).encode()
    second = ops.send_bytes(respelled, sent["event_id"])
    assert second.status_code == 200
    assert second.json() == {**first.json(), "status": "duplicate"}
    assert stored(ops) == 1
    assert ops.get("/api/v1/onboard/sessions/s1")["event_count"] == 1


def test_other_content_under_one_id_is_a_conflict_and_kept_aside(ops: RunningOps) -> None:
    sent = event("domain.validated", "s1", data={"mx": True})
    first = ops.send(sent)
    answer = ops.send({**sent, "data": {"mx": 1}})
    assert answer.status_code == 409
    assert answer.json()["position"] == first.json()["position"]
    assert stored(ops) == 1
    assert rejections(ops) == [409]


def test_another_source_may_use_the_same_id(ops: RunningOps) -> None:
    sent = event("onboarding.started", "s1")
    assert ops.send(sent).status_code == 201
    assert ops.send(sent, key=OTHER_KEY).status_code == 201
    assert stored(ops) == 2


def test_an_unknown_type_is_stored_and_moves_no_stage(ops: RunningOps) -> None:
    assert ops.send(event("onboarding.started", "s1")).status_code == 201
    assert ops.send(event("coffee.served", "s1")).status_code == 201
    session = ops.get("/api/v1/onboard/sessions/s1")
    assert (session["current_stage"], session["event_count"]) == ("started", 2)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"event_type": "Domain.Validated"}, "/event_type"),
        ({"event_type": "x" * 65}, "/event_type"),
        ({"session_id": ""}, "/session_id"),
        ({"session_id": 7}, "/session_id"),
        ({"session_id": None}, "/session_id"),
        ({"occurred_at": "2026-06-08T12:00:00"}, "/occurred_at"),
        ({"occurred_at": "2026-06-08T12:00:60Z"}, "/occurred_at"),
        ({"occurred_at": "2026-02-30T12:00:00Z"}, "/occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+01:00"}, "/occurred_at"),
        ({"occurred_at": 1}, "/occurred_at"),
        ({"domain": "not a host"}, "/domain"),
        ({"domain": "10.0.0.1"}, "/domain"),
        ({"data": [1]}, "/data"),
        ({"event_id": "other"}, "/event_id"),
    ],
)
def test_wrong_fields_are_named_and_nothing_is_stored(
    ops: RunningOps, changes: dict[str, Any], pointer: str
) -> None:
    sent = {**event("domain.validated", "s1", event_id="e1"), **changes}
    answer = ops.send_bytes(json.dumps(sent).encode(), "e1")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert stored(ops) == 0
    assert rejections(ops) == [422]


BASE = f'"event_type":"a","session_id":"s","occurred_at":"{format_instant(now_instant())}"'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xef\xbb\xbf{}",
        b'{"a":"\xff"}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":9223372036854775808}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":1,"a":2}',
        b'{"a":"\\u0000"}',
        b'{"a":"\\ud800"}',
        b'{"\\udc00":1}',
        b'{"a":' * 33 + b"1" + b"}" * 33,
        b"[" * 60000,
    ],
)
def test_what_is_not_strict_json_is_refused(ops: RunningOps, body: bytes) -> None:
    answer = ops.send_bytes(body, "e1")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert stored(ops) == 0


def test_the_limits_of_strict_json_are_accepted(ops: RunningOps) -> None:
    deep: Any = {"least": -(2**63), "most": 2**63 - 1, "pair": "\U0001f600"}
    for _ in range(29):
        deep = [deep]
    sent = event("domain.validated", "s1", data={"deep": deep})
    answer = ops.send(sent)
    assert answer.status_code == 201
    assert ops.get(answer.headers["location"])["payload"]["data"] == {"deep": deep}


def test_a_body_over_the_limit_is_refused_however_it_is_framed(ops: RunningOps) -> None:
    large = json.dumps(event("a", "s", event_id="e1", data={"x": "y" * 70_000})).encode()
    assert ops.send_bytes(large, "e1").status_code == 413
    chunked = ops.http.post(
        INGRESS,
        content=(large[start : start + 1000] for start in range(0, len(large), 1000)),
        headers={"content-type": "application/json", **headers_for(KEY, "e1", large, int(time.time()))},
    )
    assert chunked.status_code == 413
    assert stored(ops) == 0


@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "text/plain",
        "application/xml",
        "application/cloudevents-batch+json",
        "application/json; charset=latin-1",
    ],
)
def test_other_media_types_are_refused(ops: RunningOps, media_type: str) -> None:
    sent = event("a", "s")
    assert ops.send(sent, media_type=media_type).status_code == 415


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "gzip, identity", "x"])
def test_a_coded_body_is_refused_whatever_it_holds(ops: RunningOps, coding: str) -> None:
    assert ops.send(event("a", "s"), headers={"content-encoding": coding}).status_code == 415
    assert ops.send_batch([event("a", "s")], headers={"content-encoding": coding}).status_code == 415
    assert ops.send(event("a", "s"), headers={"content-encoding": "identity"}).status_code == 201
    assert stored(ops) == 1


@pytest.mark.parametrize("end", ["/", "//", "/batch/", "%2f"])
def test_a_wrong_address_is_not_redirected(ops: RunningOps, end: str) -> None:
    sent = event("a", "s")
    answer = ops.send_bytes(json.dumps(sent).encode(), sent["event_id"], path=f"{INGRESS}{end}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_wrong_signature_is_refused_with_one_body(ops: RunningOps) -> None:
    sent = event("a", "s")
    bodies = set()
    for headers in (
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": ""},
        {"webhook-timestamp": "1000"},
        {"webhook-timestamp": "٣"},
        {"webhook-id": "other"},
    ):
        encoded = {name: value.encode() for name, value in headers.items()}
        answer = ops.send(sent, headers=encoded)
        assert answer.status_code == 401
        assert "date" in answer.headers
        bodies.add(answer.text)
    assert len(bodies) == 1
    assert stored(ops) == 0


def test_no_error_echoes_what_was_sent(ops: RunningOps) -> None:
    marker = "Zx9-marker"
    for sent in (
        {"event_id": "e1", "session_id": f"{marker} ", "occurred_at": marker, "domain": marker + " "},
        {"event_id": "e1", "data": marker},
    ):
        assert marker not in ops.send_bytes(json.dumps(sent).encode(), "e1").text
    assert marker not in ops.send_bytes(marker.encode(), "e1").text
