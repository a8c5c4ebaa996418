"""The fold, sentence by sentence of the contract's section 4."""

from typing import Any

import pytest

from portal_hooks.instants import MINUTE
from projections.envelope import effective_at
from projections.onboarding import tickets
from projections.onboarding.events import Event, sort_key
from projections.onboarding.fold import Session, apply, fold
from projections.onboarding.process import RANK
from tests.deliveries import START, delivery, logged


def event(event_type: str, minute: int, event_id: str = "e", domain: str | None = None, **data: Any) -> Event:
    return logged(delivery(event_type, "s1", minute, event_id=event_id, domain=domain, data=data or None))


def at(minute: int) -> int:
    return START + minute * MINUTE


STARTED = event("onboarding.started", 0)
VALIDATED = event("domain.validated", 1)
APPLIED = event("dns.applied", 2)
CREATED = event("account.created", 3)
SYNCED = event("infra.synced", 4)
COMPLETED = event("onboarding.completed", 5)
WHOLE_RUN = (STARTED, VALIDATED, APPLIED, CREATED, SYNCED, COMPLETED)


def failed(minute: int, event_id: str = "e", **data: Any) -> Event:
    return event("onboarding.failed", minute, event_id, **data)


def failure(session: Session) -> tuple[str | None, str | None, str | None]:
    return session.failure_step, session.failure_code, session.failure_reason


def effects(*events: Event) -> list[str]:
    session = Session("s1")
    return [apply(session, each) for each in events]


@pytest.mark.parametrize(
    ("ahead", "used"),
    [(-10 * MINUTE, "occurred"), (0, "occurred"), (5 * MINUTE, "occurred"), (5 * MINUTE + 1, "received")],
)
def test_a_clock_more_than_five_minutes_ahead_is_not_believed(ahead: int, used: str) -> None:
    received_at = 100 * MINUTE
    occurred_at = received_at + ahead
    assert effective_at(occurred_at, received_at) == (occurred_at if used == "occurred" else received_at)


def test_ranks_are_the_contract_s() -> None:
    assert RANK == {
        "onboarding.started": 1,
        "domain.validated": 2,
        "dns.applied": 3,
        "account.created": 4,
        "infra.synced": 5,
        "onboarding.failed": 6,
        "onboarding.completed": 7,
    }


def test_events_of_one_instant_are_folded_by_rank_then_by_code_point() -> None:
    same_time = [
        event(kind, 0, "x") for kind in ("onboarding.completed", "coffee.served", "onboarding.failed")
    ]
    assert [each.event_type for each in sorted(same_time, key=sort_key)] == [
        "coffee.served",
        "onboarding.failed",
        "onboarding.completed",
    ]
    same = [event("a", 0, name) for name in ("a", "B", "_", "-", ":", "9")]
    assert [each.event_id for each in sorted(same, key=sort_key)] == ["-", "9", ":", "B", "_", "a"]


def test_events_are_counted_and_framed_in_time() -> None:
    session = fold("s1", [SYNCED, event("coffee.served", 9), VALIDATED])
    assert (session.event_count, session.first_event_at, session.last_event_at) == (3, at(1), at(9))


def test_the_last_domain_given_wins() -> None:
    given = [event("domain.validated", 1, domain="a.pt"), event("coffee.served", 2, domain="b.pt"), CREATED]
    assert fold("s1", given).domain == "b.pt"
    assert fold("s1", [STARTED]).domain is None


def test_the_source_is_the_first_event_s() -> None:
    later = CREATED._replace(source="other")
    assert fold("s1", [later, STARTED]).source == "portal"
    assert fold("s1", [later, STARTED._replace(source="third")]).source == "third"


def test_a_whole_run_reaches_every_stage_at_its_time() -> None:
    session = fold("s1", WHOLE_RUN)
    assert session.reached == [at(minute) for minute in range(6)]
    assert session.current_stage == session.furthest_stage == "completed"
    assert effects(*WHOLE_RUN) == ["advanced"] * 6


def test_a_stage_keeps_its_first_time() -> None:
    session = fold("s1", [VALIDATED, event("domain.validated", 7, "f")])
    assert session.reached[1] == at(1)
    assert effects(VALIDATED, event("domain.validated", 7, "f")) == ["advanced", "confirmed"]


def test_the_furthest_stage_is_never_lowered() -> None:
    session = fold("s1", [event("account.created", 0), event("onboarding.started", 1)])
    assert session.furthest_stage == session.current_stage == "account_created"
    assert session.reached[0] == at(1)
    assert session.reached[1] is None


@pytest.mark.parametrize("kind", [kind for kind in RANK if kind != "onboarding.failed"])
def test_any_progress_clears_an_open_failure(kind: str) -> None:
    session = fold("s1", [failed(0, step="dns", code="x"), event(kind, 1)])
    assert (session.failed_at, failure(session)) == (None, (None, None, None))
    assert session.current_stage == session.furthest_stage
    assert effects(failed(0), event(kind, 1)) == ["failed", "recovered"]


def test_an_unknown_event_clears_no_failure() -> None:
    session = fold("s1", [failed(0, code="x"), event("coffee.served", 1)])
    assert (session.current_stage, session.failure_code) == ("failed", "x")
    assert effects(failed(0), event("coffee.served", 1)) == ["failed", "noted"]


@pytest.mark.parametrize("data", [{}, {"success": True}, {"success": 0}, {"success": None}])
def test_infra_synced_sets_synced(data: dict[str, Any]) -> None:
    session = fold("s1", [event("infra.synced", 0, **data)])
    assert (session.infra_status, session.furthest_stage) == ("synced", "infra_synced")


def test_infra_synced_without_success_is_no_progress() -> None:
    unsuccessful = event("infra.synced", 4, success=False)
    session = fold("s1", [CREATED, unsuccessful])
    assert (session.infra_status, session.furthest_stage) == ("failed", "account_created")
    assert session.reached[4] is None
    assert effects(CREATED, unsuccessful) == ["advanced", "noted"]
    assert fold("s1", [failed(0), unsuccessful]).current_stage == "failed"
    assert fold("s1", [unsuccessful]).current_stage is None


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["ok", "success", "synced", "true", True], "synced"),
        (["error", "failed", "warn", "warning", "false", False], "failed"),
        (["skipped", "disabled"], "skipped"),
        (["OK", "", "later", 1, 0, 1.5, [], {}, ["ok"]], "unknown"),
    ],
)
def test_completion_settles_the_infra_status(words: list[Any], status: str) -> None:
    for word in words:
        session = fold("s1", [event("onboarding.completed", 5, infra_status=word)])
        assert (session.infra_status, session.current_stage) == (status, "completed"), word


@pytest.mark.parametrize("data", [{}, {"infra_status": None}, {"other": 1}])
def test_completion_without_an_infra_status_leaves_it(data: dict[str, Any]) -> None:
    completed = event("onboarding.completed", 5, **data)
    assert fold("s1", [completed]).infra_status is None
    assert fold("s1", [SYNCED, completed]).infra_status == "synced"


def test_the_last_word_on_infra_wins() -> None:
    completed = event("onboarding.completed", 5, infra_status="skipped")
    assert fold("s1", [SYNCED, completed]).infra_status == "skipped"
    assert fold("s1", [completed, event("infra.synced", 6)]).infra_status == "synced"


def test_a_failure_opens_with_step_code_and_reason() -> None:
    session = fold("s1", [STARTED, failed(2, step="dns", code="dns_timeout", reason="no answer")])
    assert failure(session) == ("dns", "dns_timeout", "no answer")
    assert (session.failed_at, session.current_stage, session.furthest_stage) == (at(2), "failed", "started")


def test_the_last_failure_wins_as_a_whole() -> None:
    session = fold("s1", [failed(1, "a", step="dns", code="x"), failed(2, "b", reason="late")])
    assert (failure(session), session.failed_at) == ((None, None, "late"), at(2))


def test_a_failure_after_completion_is_kept_and_changes_no_stage() -> None:
    session = fold("s1", [COMPLETED, failed(9, code="late")])
    assert (session.current_stage, session.failed_at, session.failure_code) == ("completed", None, "late")
    assert effects(COMPLETED, failed(9)) == ["advanced", "noted"]
    kept = fold("s1", [COMPLETED, failed(9, code="late"), event("dns.applied", 10)])
    assert kept.failure_code == "late"


def test_of_failure_and_completion_at_one_instant_completion_has_the_last_word() -> None:
    session = fold("s1", [COMPLETED, failed(5, code="x")])
    assert (session.current_stage, session.failure_code) == ("completed", None)


def test_a_failure_may_say_things_that_are_no_text() -> None:
    session = fold("s1", [failed(1, step=7, code={"b": 1, "a": [None]}, reason="é")])
    assert failure(session) == ("7", '{"a":[null],"b":1}', "é")


def test_without_a_known_event_there_is_no_stage() -> None:
    session = fold("s1", [event("coffee.served", 0)])
    assert (session.current_stage, session.furthest_stage, session.event_count) == (None, None, 1)
    assert effects(event("coffee.served", 0)) == ["noted"]


@pytest.mark.parametrize(
    ("events", "need"),
    [
        ([STARTED, VALIDATED, APPLIED], (False, False)),
        ([CREATED], (True, False)),
        ([failed(0)], (True, False)),
        ([failed(0), VALIDATED], (True, False)),
        (WHOLE_RUN, (True, True)),
        ([failed(0), COMPLETED], (True, True)),
        ([COMPLETED, failed(9)], (True, True)),
        ([COMPLETED], (False, False)),
        ([event("coffee.served", 0)], (False, False)),
    ],
)
def test_which_sessions_have_a_ticket(events: list[Event], need: tuple[bool, bool]) -> None:
    assert tickets.need(fold("s1", events)) == need
