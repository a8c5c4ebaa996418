"""Parameters of the read API that are well formed and cannot be meant: 422, never a fault of the service."""

import base64
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.running_ops import RunningOps, event, running_ops

WINDOWS: Final = [
    "until=0001-01-01T00:00:00Z",
    "until=0001-01-01T00:00:00Z&hours=48",
    "until=0005-01-01T00:00:00Z&hours=87840",
    "as_of=0001-01-01T00:00:00Z",
    "as_of=9999-12-31T23:59:59.999999Z",
    "since=9999-12-31T23:59:59.999999Z",
    "since=0001-01-01T00:00:00Z",
    "hours=nan",
    "hours=inf",
    "hours=1e-9",
]
FORGED: Final[list[Any]] = [
    *([1, text] for text in ("\ud800", "\0", "")),
    *([1, number, text] for number in (1, 2**63) for text in ("\ud800", "\0")),
    *([value, "a"] for value in (2**63, -(2**63), 2**70, True, None, 1.5, [1])),
    *([value] for value in (0, 1, 2**63, 2**70, "a", "\0", "\ud800", None)),
    *([], {}, "a", None, [[1]], [1] * 50),
]
BROKEN: Final = ["!", "%FF", "a", "=", "%00", "A" * 20_000]
LISTS: Final = [
    "/api/v1/onboard/sessions",
    "/api/v1/onboard/sessions/s1/timeline",
    "/api/v1/desk/tickets",
    "/api/v1/rejected-deliveries",
]


@pytest.fixture
def ops(database_url: str) -> Iterator[RunningOps]:
    """A service with one session and its ticket."""
    with running_ops(database_url) as running:
        assert running.send(event("account.created", "s1")).status_code == 201
        yield running


def broken_by(ops: RunningOps, paths: list[str]) -> dict[str, int]:
    """The paths whose answer is neither a result nor a problem that says what is wrong."""
    answers = {path: ops.http.get(path) for path in paths}
    return {
        path: answer.status_code for path, answer in answers.items() if answer.status_code not in (200, 422)
    }


def test_windows_at_the_ends_of_time(ops: RunningOps) -> None:
    assert broken_by(ops, [f"/api/v1/onboard/funnel?{window}" for window in WINDOWS]) == {}


def test_forged_cursors(ops: RunningOps) -> None:
    forged = [base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=") for values in FORGED]
    assert broken_by(ops, [f"{path}?cursor={text}" for path in LISTS for text in (*forged, *BROKEN)]) == {}
