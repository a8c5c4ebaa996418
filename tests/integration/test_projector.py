"""The projector: late events, events the fold raises on, and the tickets that follow."""

from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.event import listen as listen_to
from sqlalchemy.event import remove as stop_listening

from portal_hooks.instants import now_instant
from projections.database.database import Database
from projections.database.tables import quarantined_events, ticket_events, tickets, webhook_events
from projections.onboarding import fold, projector
from projections.onboarding.events import Event
from projections.onboarding.fold import Effect, FoldFailure, Session
from projections.onboarding.tickets import READY_NOTE
from tests.deliveries import START, delivery, session_row, session_rows, store
from tests.running_ops import RunningOps, event

MARKED = "cursed"


@pytest.fixture
def cursed(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The fold raises on events of one type, after having changed the state; undo it to mend the fold."""
    healthy = fold.apply

    def apply(session: Session, event: Event) -> Effect:
        effect = healthy(session, event)
        if event.event_type == MARKED:
            session.domain = "spoilt.example"
            raise ZeroDivisionError("a bug in the fold")
        return effect

    monkeypatch.setattr(fold, "apply", apply)
    return monkeypatch


def quarantined(database: Database) -> list[tuple[int, str, str]]:
    with database.read() as connection:
        column = quarantined_events.c
        rows = connection.execute(select(column.position, column.session_id, column.error))
        return sorted((position, session_id, error) for position, session_id, error in rows)


def refold(database: Database, *session_ids: str) -> list[FoldFailure]:
    with database.write() as connection:
        return projector.refold(connection, session_ids, now_instant())


def test_a_late_event_changes_the_row_as_if_it_had_come_in_time(database: Database) -> None:
    store(database, delivery("onboarding.failed", minute=2, data={"code": "x"}))
    store(database, delivery("account.created", minute=3))
    assert session_row(database)["current_stage"] == "account_created"
    store(database, delivery("onboarding.started", minute=0, source="early", domain="a.pt"))
    row = session_row(database)
    assert (row["source"], row["domain"], row["reached_started"]) == ("early", "a.pt", START)
    store(database, delivery("onboarding.failed", minute=4, data={"code": "y"}))
    store(database, delivery("dns.applied", minute=1))
    row = session_row(database)
    assert (row["current_stage"], row["failure_code"], row["event_count"]) == ("failed", "y", 5)


def test_an_event_of_the_same_instant_finds_its_place_by_rank(database: Database) -> None:
    store(database, delivery("onboarding.completed", minute=5))
    store(database, delivery("onboarding.failed", minute=5, data={"code": "x"}))
    row = session_row(database)
    assert (row["current_stage"], row["failure_code"]) == ("completed", None)


def test_a_clock_that_runs_ahead_counts_from_its_receipt(database: Database) -> None:
    store(database, delivery("onboarding.started", minute=600, received=1))
    store(database, delivery("domain.validated", minute=2))
    row = session_row(database)
    assert (row["reached_started"], row["last_event_at"]) == (START + 60_000_000, START + 120_000_000)


def test_a_duplicate_changes_nothing(database: Database) -> None:
    store(database, delivery("onboarding.failed"))
    before = session_rows(database)
    store(database, delivery("onboarding.failed"), delivery("onboarding.failed"))
    assert session_rows(database) == before


def test_an_event_in_order_costs_no_look_at_its_session_s_history(database: Database) -> None:
    store(database, delivery("onboarding.started", minute=0))
    asked: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    listen_to(Engine, "before_cursor_execute", listen)
    try:
        store(database, delivery("domain.validated", minute=1))
        assert not [statement for statement in asked if "payload" in statement and "SELECT" in statement]
        store(database, delivery("dns.applied", minute=0.5))
        assert [statement for statement in asked if "payload" in statement and "SELECT" in statement]
    finally:
        stop_listening(Engine, "before_cursor_execute", listen)


def test_one_event_the_fold_raises_on_harms_no_other(
    database: Database, cursed: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    receipts = store(
        database,
        delivery("onboarding.started", minute=0, domain="a.pt"),
        delivery(MARKED, minute=1),
        delivery("domain.validated", minute=2),
        delivery("onboarding.started", "s2"),
    )
    assert [receipt.status for receipt in receipts] == ["created"] * 4
    assert quarantined(database) == [(2, "s1", "ZeroDivisionError: a bug in the fold")]
    assert "event 2 of session s1 is quarantined: ZeroDivisionError: a bug in the fold" in caplog.messages
    one, two = session_rows(database)
    assert (one["current_stage"], one["domain"], one["event_count"]) == ("domain_validated", "a.pt", 2)
    assert (two["current_stage"], two["event_count"]) == ("started", 1)


def test_a_quarantined_event_stays_aside_while_others_come(
    database: Database, cursed: pytest.MonkeyPatch
) -> None:
    store(database, delivery("onboarding.started", minute=0))
    store(database, delivery(MARKED, minute=1))
    store(database, delivery("dns.applied", minute=3))
    store(database, delivery("domain.validated", minute=2))
    store(database, delivery(MARKED, minute=4, event_id="second"))
    assert [position for position, *_ in quarantined(database)] == [2, 5]
    row = session_row(database)
    assert (row["current_stage"], row["event_count"]) == ("dns_applied", 3)


def test_a_retry_clears_what_the_mended_fold_can_read(database: Database, cursed: pytest.MonkeyPatch) -> None:
    store(database, delivery("onboarding.started", minute=0), delivery(MARKED, minute=1))
    assert [failure.event.event_type for failure in refold(database, "s1")] == [MARKED]
    assert len(quarantined(database)) == 1
    cursed.undo()
    assert refold(database, "s1") == []
    assert quarantined(database) == []
    assert session_row(database)["event_count"] == 2


def test_a_retry_of_one_session_leaves_the_others(database: Database, cursed: pytest.MonkeyPatch) -> None:
    store(database, delivery(MARKED, "s1"), delivery(MARKED, "s2"))
    cursed.undo()
    refold(database, "s1")
    assert [session_id for _, session_id, _ in quarantined(database)] == ["s2"]


def test_the_portal_is_told_created_and_operators_see_it_stale(
    ops: RunningOps, cursed: pytest.MonkeyPatch
) -> None:
    ops.send(event("onboarding.started", "s1"))
    answer = ops.send(event(MARKED, "s1"))
    assert answer.status_code == 201
    position = answer.json()["position"]
    assert ops.get(answer.headers["location"])["event_type"] == MARKED
    assert ops.get("/api/v1/onboard/sessions/s1")["stale"] is True
    effects = [each["effect"] for each in ops.get("/api/v1/onboard/sessions/s1/timeline")["events"]]
    assert effects == ["advanced", "quarantined"]
    assert ops.get("/readyz")["quarantined"] == 1
    assert "ops_quarantined_events 1.0" in ops.http.get("/metrics").text
    assert [found for found, *_ in quarantined(ops.database)] == [position]


def test_a_session_of_nothing_but_a_quarantined_event_is_shown_stale(
    ops: RunningOps, cursed: pytest.MonkeyPatch
) -> None:
    assert ops.send(event(MARKED, "s1")).status_code == 201
    events = ops.get("/api/v1/onboard/sessions/s1/timeline")["events"]
    assert [each["effect"] for each in events] == ["quarantined"]
    answer = ops.http.get("/api/v1/onboard/sessions/s1")
    assert answer.status_code == 200, answer.text
    assert answer.json()["stale"] is True


def test_a_timeline_survives_an_event_that_a_newer_fold_cannot_read(
    ops: RunningOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    ops.send(event("onboarding.started", "s1"))
    ops.send(event("coffee.served", "s1"))

    def apply(_session: Session, _event: Event) -> Effect:
        raise ZeroDivisionError

    monkeypatch.setattr(fold, "apply", apply)
    for view in ("timeline", "explain"):
        assert ops.http.get(f"/api/v1/onboard/sessions/s1/{view}").status_code == 200, view


def tickets_of(database: Database) -> dict[str, dict[str, Any]]:
    with database.read() as connection:
        rows = connection.execute(select(tickets)).mappings().all()
    return {row["session_id"]: dict(row) for row in rows}


def notes(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(ticket_events.c.body)).scalars())


def test_a_ticket_opens_once_and_turns_ready_once(database: Database) -> None:
    store(database, delivery("dns.applied", minute=2))
    assert tickets_of(database) == {}
    store(database, delivery("onboarding.failed", minute=3))
    ticket = tickets_of(database)["s1"]
    assert (ticket["status"], ticket["ready_for_ops"], ticket["created_at"]) == (
        "open",
        False,
        START + 180_000_000,
    )
    store(database, delivery("account.created", minute=4))
    assert tickets_of(database)["s1"] == ticket
    for minute in (5, 6):
        store(database, delivery("onboarding.completed", minute=minute))
    assert (tickets_of(database)["s1"]["ready_for_ops"], tickets_of(database)["s1"]["id"]) == (
        True,
        ticket["id"],
    )
    assert notes(database) == [READY_NOTE]


def test_a_completion_known_before_its_account_makes_one_ready_ticket(database: Database) -> None:
    store(database, delivery("onboarding.completed", minute=5))
    assert tickets_of(database) == {}
    store(database, delivery("account.created", minute=3))
    assert tickets_of(database)["s1"]["ready_for_ops"] is True
    assert notes(database) == [READY_NOTE]


def test_what_operators_did_is_left_alone(database: Database) -> None:
    store(database, delivery("account.created", minute=3))
    with database.write() as connection:
        connection.execute(tickets.update().values(status="closed", assignee="ana"))
    store(database, delivery("onboarding.failed", minute=4), delivery("onboarding.completed", minute=5))
    refold(database, "s1")
    ticket = tickets_of(database)["s1"]
    assert (ticket["status"], ticket["assignee"]) == ("closed", "ana")


def test_sessions_of_one_transaction_each_get_their_row(database: Database) -> None:
    many = [delivery("onboarding.failed", f"s{number}") for number in range(1200)]
    store(database, *many)
    assert len(session_rows(database)) == len(tickets_of(database)) == 1200
    with database.read() as connection:
        assert len(connection.execute(select(webhook_events.c.position)).all()) == 1200
