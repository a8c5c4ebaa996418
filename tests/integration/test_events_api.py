"""The log over HTTP: filters, both orders, pages, and one event whole."""

from typing import Any

import pytest

from ops_service.events import parameters
from portal_hooks.instants import MINUTE, format_instant, now_instant
from tests.running_ops import OTHER_KEY, OTHER_SOURCE, SOURCE, RunningOps, event

EVENTS = "/api/v1/events"


def ago(minutes: float) -> str:
    return format_instant(now_instant() - round(minutes * MINUTE))


@pytest.fixture
def filled(ops: RunningOps) -> RunningOps:
    """Positions 1 to 4; the order of positions is not that of the times."""
    ops.send(event("onboarding.started", "s1", occurred_at=ago(1)))
    ops.send(event("domain.validated", "s1", occurred_at=ago(4)))
    ops.send(event("onboarding.started", "s2", occurred_at=ago(3)), key=OTHER_KEY)
    ops.send(event("coffee.served", "s2", occurred_at=ago(2)))
    return ops


def positions(found: Any) -> list[int]:
    return [each["position"] for each in found["events"]]


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [1, 2, 3, 4]),
    ({"order": "desc"}, [4, 3, 2, 1]),
    ({"session_id": "s2"}, [3, 4]),
    ({"event_type": "onboarding.started"}, [1, 3]),
    ({"source": OTHER_SOURCE}, [3]),
    ({"source": SOURCE, "session_id": "s2"}, [4]),
    ({"after": 2}, [3, 4]),
    ({"after": 2, "order": "desc"}, [1]),
    ({"after": 4}, []),
    ({"after": 2**63 - 1}, []),
    ({"session_id": "nobody"}, []),
]


def test_filters(filled: RunningOps) -> None:
    for params, found in FILTERS:
        assert positions(filled.get(EVENTS, **params)) == found, params


def test_since_and_until_are_on_the_instant_an_event_counts_at(filled: RunningOps) -> None:
    assert positions(filled.get(EVENTS, since=ago(2.5))) == [1, 4]
    assert positions(filled.get(EVENTS, until=ago(2.5))) == [2, 3]


def test_the_total_is_a_session_s(filled: RunningOps) -> None:
    assert filled.get(EVENTS, session_id="s1", limit=1)["total"] == 2
    assert filled.get(EVENTS)["total"] is None


@pytest.mark.parametrize(("order", "found"), [("asc", [1, 2, 3, 4]), ("desc", [4, 3, 2, 1])])
def test_pages(filled: RunningOps, order: str, found: list[int]) -> None:
    page = filled.get(EVENTS, order=order, limit=1)
    seen = positions(page)
    while page["next_cursor"]:
        page = filled.get(EVENTS, order=order, limit=1, after=page["next_cursor"])
        seen += positions(page)
    assert seen == found


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_page_looks_through_so_much_of_the_log_and_leads_on(
    filled: RunningOps, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    rare = {"order": order, "source": OTHER_SOURCE}
    monkeypatch.setattr(parameters, "LOOKED_THROUGH", 1)
    pages = [filled.get(EVENTS, **rare)]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(filled.get(EVENTS, **rare, after=cursor))
    found = [positions(page) for page in pages]
    assert found == ([[], [], [3], []] if order == "asc" else [[], [3], [], []])
    assert positions(filled.get(EVENTS, session_id="s2", order=order)) in ([3, 4], [4, 3])


def test_one_event_is_shown_whole(ops: RunningOps) -> None:
    odd = {
        "least": -(2**63),
        "most": 2**63 - 1,
        "small": 1e-300,
        "text": "é\U0001f600\t",
        "deep": [[{"a": None}]],
    }
    sent = event("dns.applied", "s1", domain="ACME.pt", data=odd, **{"x-unknown": ["kept"]})
    position = ops.send(sent).json()["position"]
    shown = ops.get(f"{EVENTS}/{position}")
    assert shown["payload"] == sent
    assert (shown["domain"], shown["source"], shown["clock_skew"]) == ("acme.pt", SOURCE, False)
    assert shown["effective_at"] == shown["occurred_at"]
