"""The funnel over HTTP: its numbers, its windows, and each number's list."""

from typing import Any

import pytest

from portal_hooks.contract import STAGES
from portal_hooks.instants import HOUR, MINUTE, SECOND, format_instant, now_instant, parse_instant
from tests.running_ops import RunningOps, event

FUNNEL = "/api/v1/onboard/funnel"
SESSIONS = "/api/v1/onboard/sessions"


def send(ops: RunningOps, event_type: str, session_id: str, minutes_ago: float, **fields: Any) -> None:
    occurred_at = format_instant(now_instant() - round(minutes_ago * MINUTE))
    answer = ops.send(event(event_type, session_id, occurred_at=occurred_at, **fields))
    assert answer.status_code == 201, answer.text


@pytest.fixture
def filled(ops: RunningOps) -> RunningOps:
    """One session of each kind, and one outside the usual window."""
    send(ops, "onboarding.started", "active", 10, domain="a.pt")
    send(ops, "domain.validated", "active", 5)
    send(ops, "dns.applied", "stalled", 90)
    send(ops, "onboarding.failed", "failed", 3, data={"code": "dns_timeout"})
    send(ops, "account.created", "failed-late", 4)
    send(ops, "onboarding.failed", "failed-late", 3)
    send(ops, "onboarding.completed", "completed", 2)
    send(ops, "coffee.served", "unknown", 1)
    send(ops, "onboarding.started", "old", 49 * 60)
    return ops


def step(funnel: Any, stage: str) -> Any:
    return funnel["steps"][STAGES.index(stage)]


@pytest.mark.parametrize("live", [True, False])
def test_an_empty_failure_code_is_none(ops: RunningOps, live: bool) -> None:
    for number, data in enumerate([{"code": ""}, {}, {"code": None}, {"code": "x"}]):
        send(ops, "onboarding.failed", f"s{number}", 1, data=data)
    since, now = format_instant(now_instant() - HOUR), format_instant(now_instant())
    past = {} if live else {"since": since, "as_of": now}
    assert ops.get(FUNNEL, **past)["failures"] == [{"code": None, "count": 3}, {"code": "x", "count": 1}]
    assert ops.get(SESSIONS, failure_code="", **past)["total"] == 3


def test_every_number_is_there(filled: RunningOps) -> None:
    funnel = filled.get(FUNNEL)
    assert funnel["total"] == 5
    assert funnel["stages"] == {
        "started": 0,
        "domain_validated": 1,
        "dns_applied": 1,
        "account_created": 0,
        "infra_synced": 0,
        "completed": 1,
        "failed": 2,
    }
    assert [each["reached"] for each in funnel["steps"]] == [5, 4, 3, 2, 1, 1]
    assert (step(funnel, "domain_validated")["active"], step(funnel, "dns_applied")["stalled"]) == (1, 1)
    assert (step(funnel, "started")["failed"], step(funnel, "account_created")["failed"]) == (1, 1)
    assert step(funnel, "domain_validated")["median_seconds"] == pytest.approx(300, abs=5)
    assert funnel["failures"] == [{"code": None, "count": 1}, {"code": "dns_timeout", "count": 1}]
    assert (funnel["position"], funnel["as_of"]) == (9, None)
    assert funnel["window"]["hours"] == 48


def test_active_sessions_come_newest_first_with_their_facts(filled: RunningOps) -> None:
    funnel = filled.get(FUNNEL)
    assert funnel["active_total"] == 2
    first, second = funnel["active_sessions"]
    assert (first["session_id"], second["session_id"]) == ("active", "stalled")
    assert (first["stalled"], second["stalled"]) == (False, True)
    shown = ("domain", "current_stage", "infra_status", "event_count", "ticket_id")
    assert {key: first[key] for key in shown} == {
        "domain": "a.pt",
        "current_stage": "domain_validated",
        "infra_status": None,
        "event_count": 2,
        "ticket_id": None,
    }


def test_each_number_opens_its_list(filled: RunningOps) -> None:
    funnel = filled.get(FUNNEL)
    since = funnel["window"]["since"]

    def total(**params: Any) -> Any:
        return filled.get(SESSIONS, since=since, **params)["total"]

    assert total(reached="started") == funnel["total"]
    assert total(state=["active", "stalled"]) == funnel["active_total"]
    for stage, number in funnel["stages"].items():
        assert total(stage=stage) == number, stage
    for each in funnel["steps"]:
        assert total(reached=each["stage"]) == each["reached"]
        for state in ("failed", "active", "stalled"):
            assert total(furthest=each["stage"], state=state) == each[state], (each["stage"], state)


def test_at_most_fifty_active_sessions_are_listed_and_all_are_counted(ops: RunningOps) -> None:
    now = now_instant()
    times = [format_instant(now - number * 6 * SECOND) for number in range(55)]
    batch = [event("onboarding.started", f"s{number}", occurred_at=at) for number, at in enumerate(times)]
    assert ops.send_batch(batch).status_code == 200
    funnel = ops.get(FUNNEL)
    assert (funnel["active_total"], len(funnel["active_sessions"])) == (55, 50)
    assert [each["session_id"] for each in funnel["active_sessions"]] == [
        f"s{number}" for number in range(50)
    ]


def test_the_window_in_hours(filled: RunningOps) -> None:
    for hours, total in [("0.06", 3), ("1", 4), ("2", 5), ("50", 6), ("87840", 6)]:
        funnel = filled.get(FUNNEL, hours=hours)
        assert (funnel["total"], funnel["window"]["hours"]) == (total, pytest.approx(float(hours)))


def test_the_window_from_and_to(ops: RunningOps) -> None:
    moment = now_instant() // SECOND * SECOND - HOUR
    sent = event("onboarding.started", "s1", occurred_at=format_instant(moment))
    assert ops.send(sent).status_code == 201

    def total(since: int, until: int) -> Any:
        return ops.get(FUNNEL, since=format_instant(since), until=format_instant(until))["total"]

    assert total(moment, moment + 1) == 1
    assert total(moment + 1, moment + HOUR) == 0
    assert total(moment - HOUR, moment) == 0


def test_an_offset_may_stand_unescaped_in_the_address(ops: RunningOps) -> None:
    answer = ops.http.get(f"{FUNNEL}?since=2026-06-08T13:00:00+01:00")
    assert answer.json()["window"]["since"] == "2026-06-08T12:00:00.000000Z"


def test_the_beginning_of_1970_is_an_instant_like_any_other(ops: RunningOps) -> None:
    for name in ("until", "as_of"):
        window = ops.get(FUNNEL, **{name: "1970-01-01T00:00:00Z"}, hours=1)["window"]
        assert window["since"] == "1969-12-31T23:00:00.000000Z"
        assert window["until"] == "1970-01-01T00:00:00.000000Z"


def test_a_past_funnel_knows_only_what_had_been_received(ops: RunningOps) -> None:
    send(ops, "onboarding.started", "s1", 30)
    before = ops.get(FUNNEL)
    send(ops, "onboarding.completed", "s1", 20)
    send(ops, "onboarding.started", "s2", 40)
    then = ops.get(FUNNEL, as_of=before["generated_at"])
    assert then["as_of"] == before["generated_at"]
    for name in ("stages", "total", "failures", "position", "active_total"):
        assert then[name] == before[name], name
    assert [each["session_id"] for each in then["active_sessions"]] == ["s1"]
    assert ops.get(FUNNEL)["stages"]["completed"] == 1


def test_generated_at_is_now(ops: RunningOps) -> None:
    assert abs(parse_instant(ops.get(FUNNEL)["generated_at"]) - now_instant()) < 60 * SECOND
