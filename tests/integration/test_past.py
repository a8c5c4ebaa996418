"""Questions about the past are answered by folding what was known then: checked against the oracle."""

from typing import Any

import pytest
from hypothesis import given

from ops_service.http.windows import Window
from ops_service.sessions import past, timeline
from portal_hooks.instants import DAY, HOUR, MINUTE, format_instant
from projections.database.tables import REACHED
from projections.envelope import Delivery
from projections.onboarding.history import sessions_events
from tests.deliveries import START, delivery, logged, store
from tests.property import oracle
from tests.property.histories import by_session, expected_row, histories, near_start, to_delivery
from tests.property.logged_history import logged_history
from tests.running_ops import RunningOps

SESSIONS = "/api/v1/onboard/sessions"
FUNNEL = "/api/v1/onboard/funnel"
TREND = "/api/v1/onboard/trend"

History = list[oracle.OracleEvent]


def arrivals() -> list[Delivery]:
    """In the order of receipt, a minute or more apart; what occurred when is another matter."""
    return [
        delivery("domain.validated", "s1", 2, received=10, domain="first.pt"),
        delivery("onboarding.failed", "s1", 4, received=11, data={"step": "dns", "code": "dns_timeout"}),
        delivery("onboarding.started", "s1", 0, received=12),
        delivery("account.created", "s2", 5, received=13, source="other"),
        delivery("dns.applied", "s1", 5, received=14, domain="second.pt"),
        delivery("infra.synced", "s2", 1, received=15, data={"success": False}),
        delivery("onboarding.completed", "s2", 90, received=16, data={"infra_status": "warn"}),
        delivery("onboarding.failed", "s3", 17, received=17, data={"code": True}),
        delivery("coffee.served", "s4", 18, received=18),
        delivery("onboarding.completed", "s1", 3, received=19),
        delivery("onboarding.failed", "s2", 95, received=100, data={"code": "too_late"}),
    ]


@pytest.fixture
def lived(ops: RunningOps) -> RunningOps:
    """A service that all of them reached, each in a transaction of its own."""
    for each in arrivals():
        store(ops.database, each)
    return ops


def known(ops: RunningOps, instant: int) -> History:
    return [event for event in logged_history(ops.database) if event["received_at"] <= instant]


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """The oracle's row as the API shows it."""
    failure = {name: row[f"failure_{name}"] for name in ("step", "code", "reason")}
    return {
        **{
            name: row[name]
            for name in (
                "session_id",
                "domain",
                "source",
                "current_stage",
                "furthest_stage",
                "infra_status",
                "event_count",
            )
        },
        **{name: as_text(row[name]) for name in ("failed_at", "first_event_at", "last_event_at")},
        "failure": failure if row["failure_count"] else None,
        "reached": {
            stage: as_text(row[column]) for stage, column in zip(oracle.STAGE_ORDER, REACHED, strict=True)
        },
    }


def as_text(instant: int | None) -> str | None:
    return None if instant is None else format_instant(instant)


def assert_session(ops: RunningOps, session_id: str, history: History, **moment: Any) -> None:
    response = ops.http.get(f"{SESSIONS}/{session_id}", params=moment)
    own = by_session(history).get(session_id)
    if own is None:
        assert response.status_code == 404, moment
        return
    body = response.json()
    expected = shown(without_failure_that_was_cleared(expected_row(session_id, own)))
    assert {name: body[name] for name in expected} == expected, moment


def without_failure_that_was_cleared(row: dict[str, Any]) -> dict[str, Any]:
    """`failure` is shown while there is anything to say of it."""
    facts = (row["failed_at"], row["failure_step"], row["failure_code"], row["failure_reason"])
    return row if any(fact is not None for fact in facts) else {**row, "failure_count": 0}


@pytest.mark.parametrize("session_id", ["s1", "s2", "s3", "s4", "nobody"])
def test_a_session_at_each_instant(lived: RunningOps, session_id: str) -> None:
    for minute in range(9, 21):
        for edge in (-1, 0):
            instant = START + minute * MINUTE + edge
            history = known(lived, instant)
            assert_session(lived, session_id, history, as_of=format_instant(instant))


@pytest.mark.parametrize("session_id", ["s1", "s2"])
def test_a_session_at_each_position(lived: RunningOps, session_id: str) -> None:
    history = logged_history(lived.database)
    for position in range(len(history) + 2):
        assert_session(lived, session_id, history[:position], position=position)


def test_instant_and_position_both_bound(lived: RunningOps) -> None:
    instant = START + 12 * MINUTE
    for position in (1, 3, 9):
        history = [e for e in logged_history(lived.database)[:position] if e["received_at"] <= instant]
        assert_session(lived, "s1", history, as_of=format_instant(instant), position=position)


def test_a_past_session_is_stalled_by_its_own_clock(lived: RunningOps) -> None:
    soon, later = (format_instant(START + minutes * MINUTE) for minutes in (18, 66))
    assert not lived.get(f"{SESSIONS}/s1", as_of=soon, position=5)["stalled"]
    assert lived.get(f"{SESSIONS}/s1", as_of=later, position=5)["stalled"]


def test_a_past_window_folds_nobody_who_began_later(ops: RunningOps, monkeypatch: pytest.MonkeyPatch) -> None:
    for session_id, minute in (("then", 0), ("soon", 61), ("later", 9_000)):
        store(ops.database, delivery("onboarding.started", session_id, minute, received=minute))
    asked: list[str] = []

    def read(connection: Any, session_ids: Any, **bounds: Any) -> Any:
        asked.extend(session_ids)
        return sessions_events(connection, session_ids, **bounds)

    monkeypatch.setattr(past, "sessions_events", read)
    hour = Window(START, START + HOUR)
    with ops.database.read() as connection:
        [known] = past.sessions_as_of(connection, hour, as_of=START + DAY)
        assert (known.session_id, asked) == ("then", ["then"])
        past.sessions_as_of(connection, Window(START, None), as_of=START + HOUR)
    assert asked == ["then", "soon", "then"] or asked == ["then", "then", "soon"]


@pytest.mark.parametrize("minute", [9, 10, 12.5, 16, 17, 19, 100])
@pytest.mark.parametrize("hours", [0.15, 48])
def test_the_funnel_is_that_of_what_was_received(lived: RunningOps, minute: float, hours: float) -> None:
    instant = START + round(minute * MINUTE)
    body = lived.get(FUNNEL, as_of=format_instant(instant), hours=hours)
    since = instant - int(hours * HOUR)
    sessions = list(by_session(known(lived, instant)).values())
    expected = oracle.funnel(sessions, since, stalled_before=instant - HOUR)
    assert (body["total"], body["stages"]) == (expected["total"], expected["stages"])
    for step in body["steps"]:
        wanted = expected["steps"][step["stage"]]
        assert {name: step[name] for name in wanted} == wanted
    assert body["active_total"] == expected["active_total"] == len(body["active_sessions"])
    assert {each["code"]: each["count"] for each in body["failures"]} == expected["failures"]
    received = [p for p, e in enumerate(logged_history(lived.database), 1) if e["received_at"] <= instant]
    assert body["position"] == max(received, default=0)


def setters(session_id: str, history: History) -> dict[str, str | None]:
    """For each field the event after which it last became another, by the oracle."""
    ordered = oracle.in_order(history)
    rows = [expected_row(session_id, ordered[:length]) for length in range(1, len(ordered) + 1)]
    before: dict[str, Any] = dict.fromkeys(rows[0])
    set_by: dict[str, str | None] = dict.fromkeys(rows[0])
    for event, row in zip(ordered, rows, strict=True):
        for name in row:
            if row[name] != before[name]:
                set_by[name] = f"{event['source']}/{event['event_id']}"
        before = row
    return set_by


@given(histories(near_start(), ["s1"]))
def test_explain_names_the_event_behind_each_field(history: History) -> None:
    events = [logged(to_delivery(event), position) for position, event in enumerate(history, 1)]
    names = {event.position: f"{event.source}/{event.event_id}" for event in events}
    told = timeline.explain("s1", events, set())
    found = {field: names[setting.position] if setting else None for field, setting in told.items()}
    assert found == setters("s1", history)


def test_explain_over_the_api(lived: RunningOps) -> None:
    for session_id, history in by_session(logged_history(lived.database)).items():
        fields = lived.get(f"{SESSIONS}/{session_id}/explain")["fields"]
        found = {
            name: lived.get(f"/api/v1/events/{setting['position']}") if setting else None
            for name, setting in fields.items()
        }
        assert {
            name: f"{event['source']}/{event['event_id']}" if event else None for name, event in found.items()
        } == setters(session_id, history)


def test_the_trend_counts_each_day_s_beginners(ops: RunningOps) -> None:
    ops.app.state.clock = lambda: START
    midnight = -12 * 60
    oldest = midnight - 2 * 24 * 60
    store(
        ops.database,
        delivery("onboarding.started", "today", 0),
        delivery("onboarding.completed", "today", 20 * 60),
        delivery("account.created", "first of the day".replace(" ", "-"), midnight),
        delivery("onboarding.failed", "yesterday", midnight - 1),
        delivery("onboarding.started", "oldest", oldest),
        delivery("onboarding.started", "too-old", oldest - 1),
        delivery("domain.validated", "moved", 5),
        delivery("coffee.served", "unknown", 5),
    )
    store(ops.database, delivery("onboarding.started", "moved", oldest + 60))
    days = ops.get(TREND, days=3)["days"]
    assert days == expected_days(ops, format_instant(START + oldest * MINUTE))
    assert [day["sessions"] for day in days] == [2, 1, 2]
    assert len(ops.get(TREND, days=4)["days"]) == 4
    assert [day["day"] for day in ops.get(TREND, days=1)["days"]] == [days[-1]["day"]]


def expected_days(ops: RunningOps, since: str) -> list[dict[str, Any]]:
    """By brute force over the oracle's rows."""
    found: dict[str, dict[str, Any]] = {}
    for events in by_session(logged_history(ops.database)).values():
        row = oracle.fold(events)
        if row["current_stage"] is None:
            continue
        day = format_instant(row["first_event_at"] // DAY * DAY)
        none = {"day": day, "sessions": 0, "reached": dict.fromkeys(oracle.STAGE_ORDER, 0), "failed": 0}
        counts = found.setdefault(day, none)
        counts["sessions"] += 1
        counts["failed"] += row["current_stage"] == "failed"
        furthest = row["furthest_stage"] or "started"
        for stage in oracle.STAGE_ORDER[: oracle.STAGE_ORDER.index(furthest) + 1]:
            counts["reached"][stage] += 1
    return [found[day] for day in sorted(found) if day >= since]
