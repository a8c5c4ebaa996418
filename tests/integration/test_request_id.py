"""Every answer names its request; where the service is at fault, its log has the same name."""

import logging
import time

import pytest

from tests.people import browser
from tests.running_ops import INGRESS, RunningOps, event

ID = "x-request-id"


def test_every_answer_names_its_request(ops: RunningOps) -> None:
    paths = ("/readyz", "/", "/nothing", "/static/app.js", "/openapi.json", "/api/v1/events")
    answers = [
        *(ops.http.get(path) for path in paths),
        ops.send(event("domain.validated", "s1")),
        ops.send(event("domain.validated", "s1", occurred_at="yesterday")),
        ops.send_batch([event("domain.validated", "s1")]),
        ops.http.post(INGRESS, content=b"unsigned"),
    ]
    assert {answer.status_code for answer in answers} >= {200, 201, 404, 415, 422}
    assert len({answer.headers[ID] for answer in answers}) == len(answers)


@pytest.mark.parametrize("by", ["sign-in", "ingress"])
def test_what_nobody_expected_is_found_in_the_log_by_its_name(
    ops: RunningOps, caplog: pytest.LogCaptureFixture, by: str
) -> None:
    ops.app.state.clock = lambda: 1 // 0
    if by == "ingress":
        answer = ops.send(event("domain.validated", "s1"))
    else:
        with browser(ops) as client:
            answer = client.post("/api/v1/auth/sign-in", json={"name": "ana", "password": "x"})
    assert (answer.status_code, answer.json()["status"]) == (500, 500)
    assert answer.headers["connection"] == "close"
    assert f"request {answer.headers[ID]} was answered with 500" in caplog.text
    deadline = time.monotonic() + 10
    while not (faults := [record for record in caplog.records if record.exc_info]):
        assert time.monotonic() < deadline, "the fault was not logged"
        time.sleep(0.01)  # it is logged behind the answer
    [fault] = faults
    told = logging.Formatter().format(fault)
    assert "ZeroDivisionError" in told
    assert f"It was request {answer.headers[ID]}." in told


def test_a_delivery_that_the_service_cannot_take_is_named_in_its_log(
    ops: RunningOps, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops_service.ingress.writer.CAPACITY", 0)
    answer = ops.send(event("domain.validated", "s1"))
    assert answer.status_code == 503
    assert f"request {answer.headers[ID]} was answered with 503" in caplog.text
