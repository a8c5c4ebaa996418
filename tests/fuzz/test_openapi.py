"""Schemathesis sends what /openapi.json allows and what it forbids, with a token and without one.

No answer is a fault of the service's own, every answer is one that the document describes, and every error is
a problem.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import func, select

from projections.database.tables import webhook_events
from tests.fuzz.budget import TIMEOUT_SECONDS, share
from tests.running_ops import RunningOps, event, running_ops

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
OPEN_TO_ALL = {"/healthz", "/readyz", "/metrics"}
SIGNING_IN = ("/api/v1/auth/sign-in", "/api/v1/auth/link")


@pytest.fixture
def ops(database_url: str) -> Iterator[RunningOps]:
    """A service with sessions and tickets of the plainest names, which generated requests hit at times."""
    with running_ops(database_url) as running:
        for session_id in ("0", "a", "A"):
            for event_type in ("onboarding.started", "account.created", "onboarding.failed"):
                assert running.send(event(event_type, session_id, domain="a.pt")).status_code == 201
        yield running


def operations(ops: RunningOps) -> list[APIOperation[Any, Any, Any, Any]]:
    """Every operation but the endless one."""
    schema = schemathesis.openapi.from_url(f"{ops.url}/openapi.json")
    results = list(schema.get_all_operations())
    found = [result.ok() for result in results if isinstance(result, Ok)]
    assert len(found) == len(results)
    assert len(found) > 15
    # Revoking tokens, the run would sooner or later revoke its own.
    ends_the_run = {("DELETE", "/api/v1/tokens/{token_id}")}
    return [
        operation
        for operation in found
        if not operation.path.endswith("/stream")
        and (operation.method.upper(), operation.path) not in ends_the_run
    ]


def is_the_servers(response: Response) -> bool:
    """It was no HTTP, such as a Content-Length that is no number: refused before any route was looked for."""
    return response.status_code == 400 and "x-request-id" not in response.headers


def check(case: Case[Any], response: Response) -> None:
    if not is_the_servers(response):
        case.validate_response(response, checks=CHECKS)
    if response.status_code >= 400:
        assert response.headers["content-type"] == ["application/problem+json"]
        assert response.json()["status"] == response.status_code


class Round:
    """Sends generated requests of every operation, and counts the answers."""

    def __init__(self, ops: RunningOps, headers: dict[str, str], examples: int) -> None:
        self._ops, self._examples = ops, examples
        # A kept connection may be closed as idle while the next request is still being made up.
        self._headers = {**headers, "Connection": "close"}
        self.statuses: dict[str, Counter[int]] = {}

    def run(self) -> None:
        for operation in operations(self._ops):
            for mode in GenerationMode:
                self._send(operation, mode)

    def _send(self, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode) -> None:
        counted = self.statuses.setdefault(operation.label, Counter())

        @settings(max_examples=self._examples, suppress_health_check=list(HealthCheck))
        @given(operation.as_strategy(generation_mode=mode))
        def requests_of_the_operation(case: Case[Any]) -> None:
            response = case.call(headers=self._headers)
            if not is_the_servers(response):
                counted[response.status_code] += 1
            check(case, response)

        try:
            requests_of_the_operation()
        except Unsatisfiable:
            # An operation without a single input has nothing to be wrong about.
            assert mode is GenerationMode.NEGATIVE


def stored(ops: RunningOps) -> int:
    with ops.database.read() as connection:
        return connection.execute(select(func.count()).select_from(webhook_events)).scalar_one()


@pytest.mark.timeout(TIMEOUT_SECONDS)
def test_with_a_token_every_answer_is_described(ops: RunningOps) -> None:
    before = stored(ops)
    everything = Round(ops, ops.bearer("admin"), share(12, least=4))
    everything.run()
    assert stored(ops) == before
    total = sum(everything.statuses.values(), Counter[int]())
    assert total[200] > total.total() / 10
    assert total[422] > total.total() / 10
    print(f"{total.total()} requests: {sorted(total.items())}")


@pytest.mark.timeout(TIMEOUT_SECONDS)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_a_token_nothing_is_told(ops: RunningOps) -> None:
    everything = Round(ops, {}, share(4, least=2))
    everything.run()
    for label, statuses in everything.statuses.items():
        path = label.split(" ")[1]
        if path not in OPEN_TO_ALL and not path.startswith(("/api/v1/webhooks/", *SIGNING_IN)):
            assert statuses.keys() <= {401}, label
