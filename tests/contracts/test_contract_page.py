"""Every example and every table of the published contract, run against the real service."""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import standardwebhooks.webhooks as published

from ops_service.http import server
from ops_service.ingress import writer
from portal_hooks.contract import EVENT_TYPES, STAGE_OF
from portal_hooks.signing import headers_for, parse_secret, verify
from tests.contracts.contract_page import EXAMPLES, FENCES, TEXT, rows
from tests.contracts.reading_vectors import CONTRACTS
from tests.running_ops import INGRESS, KEY, RunningOps, event, running_ops


@pytest.fixture
def ops(database_url: str) -> Iterator[RunningOps]:
    """A service with an empty log, so that positions are as on the page."""
    with running_ops(database_url) as running:
        yield running


def example(name: str) -> Any:
    return json.loads(EXAMPLES[name])


def test_every_fenced_block_is_a_named_example_that_a_test_runs() -> None:
    assert len(EXAMPLES) == FENCES > 8
    source = (CONTRACTS.parents[1] / "tests" / "contracts" / "test_contract_page.py").read_text()
    assert [name for name in EXAMPLES if f'"{name}"' not in source] == []


def test_every_link_leads_to_a_file() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if not link.startswith("https://")]
    assert len(links) > 8
    assert [link for link in links if not (CONTRACTS / link).is_file()] == []


def test_the_program_sends_an_event(ops: RunningOps) -> None:
    secret = "whsec_" + base64.b64encode(KEY).decode()
    environment = os.environ | {"OPS_WEBHOOK_URL": ops.url, "OPS_WEBHOOK_SECRET": secret}
    for status in ("201", "201"):
        run = subprocess.run(
            [sys.executable, "-c", EXAMPLES["send"]],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert run.stdout.startswith(f'{status} {{"event_id"'), run.stderr
    assert ops.get("/api/v1/onboard/sessions/my-first-session")["event_count"] == 2


def parts_of_the_request() -> tuple[str, dict[str, str], bytes]:
    head, _, body = EXAMPLES["request"].partition("\n\n")
    line, *headers = head.split("\n")
    return line, dict(header.split(": ", 1) for header in headers), body.encode()


def test_the_worked_signature_is_right() -> None:
    _, headers, body = parts_of_the_request()
    script = EXAMPLES["signature"]
    printed = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, check=True, timeout=60)
    assert printed.stdout.strip() == headers["webhook-signature"]
    assert f"body='{body.decode()}'" in script

    secret = re.findall(r"whsec_[A-Za-z0-9+/=]+", script)[0]
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    sent_at = int(headers["webhook-timestamp"])
    assert verify(raw, body, [("portal", parse_secret(secret))], sent_at).webhook_id == headers["webhook-id"]
    signature = published.Webhook(secret).sign(
        headers["webhook-id"], datetime.fromtimestamp(sent_at, UTC), body.decode()
    )
    assert signature == headers["webhook-signature"]


def test_the_request_is_created_once_and_a_duplicate_ever_after(ops: RunningOps) -> None:
    line, headers, body = parts_of_the_request()
    assert line == f"POST {INGRESS} HTTP/1.1"
    assert json.loads(body) == example("event")
    stale = ops.http.post(INGRESS, content=body, headers=headers)
    assert stale.status_code == 401
    answers = [ops.send_bytes(body, headers["webhook-id"], media_type=headers["Content-Type"]) for _ in "123"]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert [answer.json() for answer in answers] == [example("created"), *[example("duplicate")] * 2]
    assert ops.get(answers[0].headers["location"])["payload"] == example("event")


def test_wrong_fields_are_answered_as_shown(ops: RunningOps) -> None:
    wrong = {**example("event"), "session_id": None, "occurred_at": "2026-06-08 12:00"}
    answer = ops.send(wrong)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == example("wrong-fields")


def test_the_batch_is_answered_as_shown(ops: RunningOps) -> None:
    answer = ops.send_batch(example("batch"))
    assert answer.status_code == 207
    assert answer.json() == example("batch-results")


def test_an_item_of_a_batch_nests_as_deep_as_a_single_event(ops: RunningOps) -> None:
    for depth, status in ((32, 200), (33, 400)):
        item = json.dumps(event("a", "s"))[:-1] + f',"x":{"[" * (depth - 1)}{"]" * (depth - 1)}}}'
        answer = ops.send_bytes(f"[{item}]".encode(), "delivery", path=f"{INGRESS}/batch")
        assert answer.status_code == status, answer.text


def test_the_cloudevent_is_accepted_as_either_form(ops: RunningOps) -> None:
    single = ops.send(example("cloudevent"), media_type="application/cloudevents+json")
    assert single.status_code == 201
    assert ops.get("/api/v1/onboard/sessions/8b0c3a52")["current_stage"] == "account_created"
    batch = ops.send_batch([example("cloudevent")], media_type="application/cloudevents-batch+json")
    assert batch.json()["results"] == [{**single.json(), "status": "duplicate"}]


def test_the_table_of_event_types_is_the_code_s(ops: RunningOps) -> None:
    table = {cells[0].strip("`"): cells[2].strip("`") for cells in rows("event type")}
    assert list(table) == list(EVENT_TYPES)
    assert table == {**STAGE_OF, "onboarding.failed": "failed"}
    for number, (event_type, stage) in enumerate(table.items()):
        assert ops.send(event(event_type, f"s{number}")).status_code == 201
        assert ops.get(f"/api/v1/onboard/sessions/s{number}")["current_stage"] == stage


def test_the_table_of_fields_is_the_schema_s() -> None:
    schema = json.loads((CONTRACTS / "event.schema.json").read_text())
    table = {cells[0].strip("`"): cells[1] == "required" for cells in rows("field")}
    assert table == {name: name in schema["required"] for name in schema["properties"]}


class Situation:
    """Brings about each answer of the table, on a service of its own."""

    def __init__(self, database_url: str, patch: pytest.MonkeyPatch) -> None:
        self._url, self._patch = database_url, patch
        self._open = ExitStack()

    def close(self) -> None:
        self._open.close()

    def service(self, **settings: Any) -> RunningOps:
        return self._open.enter_context(running_ops(self._url, **settings))

    def is_201(self) -> httpx.Response:
        return self.service().send(event("onboarding.started", "s1"))

    def is_200(self) -> httpx.Response:
        return self._again({})

    def is_409(self) -> httpx.Response:
        return self._again({"data": {"other": True}})

    def _again(self, changes: dict[str, Any]) -> httpx.Response:
        ops, sent = self.service(), event("onboarding.started", "s1")
        assert ops.send(sent).status_code == 201
        return ops.send({**sent, **changes})

    def is_207(self) -> httpx.Response:
        return self.service().send_batch([event("onboarding.started", "s1"), {}])

    def is_400(self) -> httpx.Response:
        return self.service().send_bytes(b'{"data": NaN}', "e1")

    def is_401(self) -> httpx.Response:
        return self.service().send(event("onboarding.started", "s1"), key=b"x" * 32)

    def is_403(self) -> httpx.Response:
        return self.service(allowed_networks="10.0.0.0/8").send(event("onboarding.started", "s1"))

    def is_408(self) -> httpx.Response:
        self._patch.setattr(server, "BODY_SECONDS", 0.3)
        address = urlsplit(self.service().url)
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
            lines = headers_for(KEY, "e1", b"", int(time.time())) | {"Content-Type": "application/json"}
            head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
            connection.sendall(
                f"POST {INGRESS} HTTP/1.1\r\nHost: ops\r\n{head}Content-Length: 9\r\n\r\n{{".encode()
            )
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        status, _, rest = received.decode().partition("\r\n")
        told, _, content = rest.partition("\r\n\r\n")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in told.split("\r\n"))]
        return httpx.Response(int(status.split(" ")[1]), headers=headers, text=content)

    def is_404(self) -> httpx.Response:
        return self.service().http.post(f"{INGRESS}/")

    def is_405(self) -> httpx.Response:
        return self.service().http.put(INGRESS)

    def is_413(self) -> httpx.Response:
        return self.service().send(event("onboarding.started", "s1", data={"x": "x" * 65536}))

    def is_415(self) -> httpx.Response:
        return self.service().send(event("onboarding.started", "s1"), media_type="text/plain")

    def is_422(self) -> httpx.Response:
        return self.service().send(event("onboarding.started", "s 1"))

    def is_429(self) -> httpx.Response:
        ops = self.service(max_events_per_second=1)
        assert ops.send(event("onboarding.started", "s1")).status_code == 201
        return ops.send(event("onboarding.started", "s1"))

    def is_431(self) -> httpx.Response:
        long = {"x-long": "x" * (server.MAX_HEAD_BYTES + 1)}
        return self.service().send(event("onboarding.started", "s1"), headers=long)

    def is_503(self) -> httpx.Response:
        self._patch.setattr(writer, "CAPACITY", 0)
        return self.service().send(event("onboarding.started", "s1"))


@pytest.fixture
def situation(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Situation]:
    made = Situation(sqlite_url, monkeypatch)
    yield made
    made.close()


@pytest.mark.parametrize("status", [int(cells[0]) for cells in rows("status")])
def test_every_row_of_the_table_of_answers_can_be_brought_about(situation: Situation, status: int) -> None:
    bring_about: Callable[[], httpx.Response] = getattr(situation, f"is_{status}")
    answer = bring_about()
    assert answer.status_code == status
    [row] = [cells for cells in rows("status") if cells[0] == str(status)]
    assert ("Location" in row[1]) == ("location" in answer.headers)
    assert ("Retry-After" in row[2]) == ("retry-after" in answer.headers)
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


def test_the_times_of_the_page_are_what_the_service_keeps(ops: RunningOps) -> None:
    before = time.time()
    ahead = event("onboarding.started", "s1", occurred_at="2999-01-01T00:00:00Z")
    assert ops.send(ahead).status_code == 201
    counted = datetime.fromisoformat(ops.get("/api/v1/onboard/sessions/s1")["last_event_at"]).timestamp()
    assert before - 1 < counted < time.time() + 1
