"""No refusal repeats what was sent: not a value, not a key, not a header, not a piece of the path."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.running_ops import INGRESS, RunningOps, event, running_ops

MARKER = "Zx9-Marker"
BATCH = f"{INGRESS}/batch"
CLOUDEVENT = "application/cloudevents+json"

Refusal = Callable[[RunningOps], httpx.Response]


@pytest.fixture
def ops(sqlite_url: str) -> Iterator[RunningOps]:
    """Refusals do not depend on the database."""
    with running_ops(sqlite_url, max_event_bytes=2_000) as running:
        yield running


def single(**fields: Any) -> Refusal:
    sent = event("domain.validated", "s1", event_id="e1") | fields
    return lambda ops: ops.send_bytes(json.dumps(sent).encode(), "e1")


def raw(body: bytes, path: str = INGRESS, media_type: str = "application/json", **headers: str) -> Refusal:
    return lambda ops: ops.send_bytes(body, "e1", path=path, media_type=media_type, headers=headers)


def item(**fields: Any) -> Refusal:
    return lambda ops: ops.send_batch([event("domain.validated", "s1", event_id="e1") | fields])


def got(path: str) -> Refusal:
    return lambda ops: ops.http.get(path)


def conflict(ops: RunningOps) -> httpx.Response:
    sent = event("domain.validated", "s1", data={"first": MARKER})
    ops.send(sent)
    return ops.send(sent | {"data": {"second": MARKER}})


def conflict_in_batch(ops: RunningOps) -> httpx.Response:
    sent = event("domain.validated", "s1", data={"first": MARKER})
    return ops.send_batch([sent, sent | {"data": {"second": MARKER}}])


LONG = MARKER + "x" * 3_000

REFUSALS: dict[str, tuple[int, Refusal]] = {
    "event type": (422, single(event_type=f"{MARKER}!")),
    "session": (422, single(session_id=f"{MARKER} ")),
    "time": (422, single(occurred_at=MARKER)),
    "time without offset": (422, single(occurred_at=f"2026-06-08T12:00:00{MARKER}")),
    "domain": (422, single(domain=f"{MARKER} ")),
    "data": (422, single(data=MARKER)),
    "id that is not the header's": (422, single(event_id=MARKER)),
    "cloudevent": (422, raw(json.dumps({"specversion": MARKER, MARKER: 1}).encode(), INGRESS, CLOUDEVENT)),
    "no json": (400, raw(MARKER.encode())),
    "json cut off": (400, raw(f'{{"{MARKER}": "{MARKER}'.encode())),
    "not a number": (400, raw(f'{{"a": "{MARKER}", "b": NaN}}'.encode())),
    "large number": (400, raw(b'{"a": 98765432109876543210}')),
    "duplicate key": (400, raw(f'{{"{MARKER}": 1, "{MARKER}": 2}}'.encode())),
    "not utf-8": (400, raw(b"{" + MARKER.encode() + b"\xff}")),
    "nul": (400, raw(f'{{"a": "{MARKER}\\u0000"}}'.encode())),
    "surrogate": (400, raw(f'{{"a": "{MARKER}\\ud800"}}'.encode())),
    "signature": (401, raw(MARKER.encode(), **{"webhook-signature": f"v1,{MARKER}"})),
    "too large": (413, single(data={"x": LONG})),
    "media type": (415, raw(b"{}", media_type=f"text/{MARKER}")),
    "binary cloudevent": (415, raw(b"{}", **{"ce-type": MARKER})),
    "conflict": (409, conflict),
    "batch of no list": (422, raw(json.dumps({MARKER: MARKER}).encode(), BATCH)),
    "batch cut off": (400, raw(f'["{MARKER}"'.encode(), BATCH)),
    "item of no object": (207, raw(json.dumps([MARKER]).encode(), BATCH)),
    "item's session": (207, item(session_id=f"{MARKER} ")),
    "item's time": (207, item(occurred_at=MARKER)),
    "item's id": (207, item(event_id=f"{MARKER} ")),
    "item too large": (207, item(data={"x": LONG})),
    "item in conflict": (207, conflict_in_batch),
    "query": (422, got(f"/api/v1/onboard/funnel?hours={MARKER}")),
    "query's enumeration": (422, got(f"/api/v1/onboard/sessions?state={MARKER}")),
    "cursor": (422, got(f"/api/v1/onboard/sessions?cursor={MARKER}")),
    "number in the path": (422, got(f"/api/v1/events/{MARKER}")),
    "unknown session": (404, got(f"/api/v1/onboard/sessions/{MARKER}")),
    "unknown page": (404, got(f"/{MARKER}")),
    "token": (401, lambda ops: ops.http.get("/api/v1/events", headers={"Authorization": f"Bearer {MARKER}"})),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_repeats_nothing(ops: RunningOps, name: str) -> None:
    status, refuse = REFUSALS[name]
    answer = refuse(ops)
    assert answer.status_code == status, answer.text
    shown = (answer.text + repr(answer.headers)).lower()
    assert MARKER.lower() not in shown
    assert "98765432109876543210" not in shown


def test_a_pointer_names_the_place_and_no_more_than_that(ops: RunningOps) -> None:
    """Its parts are the sender's own keys; a long one is cut."""
    shown = ops.send_bytes(b'{"data": {"mx": "\\u0000"}}', "e1").json()["detail"]
    assert "/data/mx" in shown
    key = b"k" * 1_500
    assert len(ops.send_bytes(b'{"' + key + b'": "\\u0000"}', "e1").text) < 500
