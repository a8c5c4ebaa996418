"""The published reading vectors, against the pure code and against a running service on both databases."""

import json

import httpx
import pytest
from sqlalchemy import func, select

from ops_service.http.problems import Problem
from ops_service.ingress.deliveries import read_single, single_carrier
from portal_hooks.contract import MAX_EVENT_BYTES, InvalidEvent
from portal_hooks.instants import format_instant
from projections.database.tables import webhook_events
from projections.envelope import Envelope
from tests.contracts.reading_vectors import Vector, load
from tests.running_ops import RunningOps

VECTORS = load()


def judge(vector: Vector) -> tuple[int, list[str], Envelope | None]:
    """Status, pointers and event by the pure code alone; what the log holds is not known here."""
    if len(vector.body) > MAX_EVENT_BYTES:
        return 413, [], None
    try:
        carrier = single_carrier([(b"content-type", vector.media_type.encode())])
        return 201, [], read_single(vector.body, carrier, vector.webhook_id)
    except Problem as problem:
        return problem.status, [], None
    except InvalidEvent as error:
        return 422, [each.pointer for each in error.errors], None


def by_name(vector: Vector) -> str:
    return vector.name.replace(" ", "-")


def test_there_are_vectors_of_every_verdict_under_different_names() -> None:
    assert {vector.status for vector in VECTORS} == {200, 201, 400, 409, 413, 415, 422}
    assert len({vector.name for vector in VECTORS}) == len(VECTORS) > 200


@pytest.mark.parametrize("vector", VECTORS, ids=by_name)
def test_the_pure_code_judges_as_the_vector_says(vector: Vector) -> None:
    status, pointers, envelope = judge(vector)
    assert status == (201 if vector.status in (200, 409) else vector.status)
    if "pointer" in vector.expected:
        assert vector.expected["pointer"] in pointers
    if vector.status == 201:
        assert envelope is not None
        assert format_instant(envelope.occurred_at) == vector.expected["occurred_at"]
        assert envelope.domain == vector.expected["domain"]


def test_equal_content_is_equal_and_other_content_other() -> None:
    kept: dict[str, bytes] = {}
    for vector in VECTORS:
        envelope = judge(vector)[2]
        if envelope is None:
            continue
        first = kept.setdefault(envelope.event_id, envelope.content_hash)
        assert (envelope.content_hash == first) == (vector.status != 409), vector.name


def stored(ops: RunningOps) -> int:
    with ops.database.read() as connection:
        return connection.execute(select(func.count()).select_from(webhook_events)).scalar_one()


def chains() -> list[list[Vector]]:
    """The vectors, those that repeat an event together with it: tests may run in any order and place."""
    together: dict[str, list[Vector]] = {}
    for number, vector in enumerate(VECTORS):
        refused = vector.status >= 400 and vector.status != 409
        together.setdefault(str(number) if refused else vector.webhook_id, []).append(vector)
    return list(together.values())


@pytest.mark.parametrize("chain", chains(), ids=lambda chain: by_name(chain[0]))
def test_the_service_answers_as_the_vector_says(ops: RunningOps, chain: list[Vector]) -> None:
    for vector in chain:
        before = stored(ops)
        answer = ops.send_bytes(vector.body, vector.webhook_id, media_type=vector.media_type)
        assert answer.status_code == vector.status, f"{vector.name}: {answer.text}"
        assert stored(ops) - before == (1 if vector.status == 201 else 0)
        if vector.status == 201:
            check_stored(ops, vector, answer.headers["location"])
        elif vector.status >= 400:
            check_problem(vector, answer)


def check_stored(ops: RunningOps, vector: Vector, location: str) -> None:
    kept = ops.get(location)
    assert kept["payload"] == as_native(json.loads(vector.body))
    assert kept["occurred_at"] == vector.expected["occurred_at"]
    assert kept["domain"] == vector.expected["domain"]


def check_problem(vector: Vector, answer: httpx.Response) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == vector.status
    if "pointer" in vector.expected:
        assert vector.expected["pointer"] in [error["pointer"] for error in problem["errors"]]


def as_native(sent: dict[str, object]) -> dict[str, object]:
    renamed = {"id": "event_id", "type": "event_type", "subject": "session_id", "time": "occurred_at"}
    if "specversion" not in sent:
        return sent
    return {renamed.get(name, name): value for name, value in sent.items()}
