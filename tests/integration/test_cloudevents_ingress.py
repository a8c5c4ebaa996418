"""CloudEvents as the published SDK makes them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from tests.running_ops import INGRESS, RunningOps

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def cloudevent(**changes: Any) -> dict[str, Any]:
    usual = {
        "specversion": "1.0",
        "id": "ce-1",
        "source": "/vm112",
        "type": "domain.validated",
        "subject": "s1",
        "time": "2026-06-08T12:00:00.5Z",
        "data": {"domain": "acme.pt"},
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def test_the_sdks_structured_event_is_accepted(ops: RunningOps) -> None:
    attributes = {
        "id": "ce-1",
        "source": "/vm112",
        "type": "domain.validated",
        "subject": "s1",
        "time": datetime(2026, 6, 8, 12, 0, 0, 500_000, tzinfo=UTC),
        "datacontenttype": "application/json",
        "specversion": "1.0",
    }
    message = to_structured_event(CloudEvent(attributes, {"domain": "acme.pt"}), JSONFormat())
    body = message.body
    answer = ops.send_bytes(body, "ce-1", media_type=STRUCTURED)
    assert answer.status_code == 201
    payload = ops.get(answer.headers["location"])["payload"]
    assert (payload["source"], payload["session_id"]) == ("/vm112", "s1")
    assert ops.get("/api/v1/onboard/sessions/s1")["domain"] == "acme.pt"


def test_the_native_form_of_the_same_event_is_a_duplicate(ops: RunningOps) -> None:
    first = ops.send(cloudevent(), media_type=STRUCTURED)
    native = {
        "event_id": "ce-1",
        "event_type": "domain.validated",
        "session_id": "s1",
        "occurred_at": "2026-06-08T13:00:00.500+01:00",
        "data": {"domain": "acme.pt"},
    }
    second = ops.send(native)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["position"] == first.json()["position"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"id": None}, "/id"),
        ({"subject": None}, "/subject"),
        ({"time": None}, "/time"),
        ({"time": "noon"}, "/time"),
        ({"specversion": "0.3"}, "/specversion"),
        ({"source": None}, "/source"),
        ({"data": None, "data_base64": "e30="}, "/data_base64"),
        ({"event_id": "ce-1"}, "/event_id"),
    ],
)
def test_nothing_missing_is_invented(ops: RunningOps, changes: dict[str, Any], pointer: str) -> None:
    body = json.dumps(cloudevent(**changes)).encode()
    answer = ops.send_bytes(body, "ce-1", media_type=STRUCTURED)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


def test_binary_mode_is_refused_with_the_reason(ops: RunningOps) -> None:
    headers = {"ce-id": "e1", "ce-type": "domain.validated", "ce-specversion": "1.0"}
    answer = ops.send_bytes(b"{}", "e1", headers=headers)
    assert answer.status_code == 415
    assert "signature" in answer.json()["detail"]


def test_a_batch_of_cloudevents(ops: RunningOps) -> None:
    body = json.dumps([cloudevent(), cloudevent(id="ce-2"), cloudevent(id="ce-3", subject=None)]).encode()
    answer = ops.send_bytes(body, "delivery", path=f"{INGRESS}/batch", media_type=BATCH)
    assert answer.status_code == 207
    assert [result["status"] for result in answer.json()["results"]] == ["created", "created", "invalid"]


def test_the_handshake_welcomes_senders(ops: RunningOps) -> None:
    answer = ops.http.options(INGRESS, headers={"WebHook-Request-Origin": "portal.example"})
    assert answer.status_code == 200
    assert answer.headers["webhook-allowed-origin"] == "*"
