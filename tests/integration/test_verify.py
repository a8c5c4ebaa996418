"""Verify finds whatever is off; a rebuild, or that of one session, mends it."""

from contextlib import AbstractContextManager
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    delete,
    func,
    select,
    update,
)

from projections.database.database import Database
from projections.database.tables import funnel_daily, onboard_sessions, tickets
from projections.onboarding.read_models import ReadModel
from projections.rebuild import rebuild, repair
from projections.rebuild.verify import session_differences, verify
from tests.deliveries import delivery, session_row, session_rows, store
from tests.rebuilds import differences, fill, no_progress


def test_wrong_missing_and_surplus_rows_are_found_and_mended(database: Database) -> None:
    fill(database)
    row = onboard_sessions.c
    with database.write() as connection:
        connection.execute(update(onboard_sessions).where(row.session_id == "s3").values(domain="wrong.pt"))
        connection.execute(delete(onboard_sessions).where(row.session_id == "s4"))
        ghost = session_row(database, "s0") | {"session_id": "zz-ghost"}
        connection.execute(onboard_sessions.insert().values(ghost))
        connection.execute(delete(tickets).where(tickets.c.session_id == "s7"))
        connection.execute(update(tickets).where(tickets.c.session_id == "s9").values(ready_for_ops=False))
        connection.execute(update(funnel_daily).values(failed=99))
    found = differences(database)
    wanted = {("s3", "domain"), ("s4", "row"), ("s7", "ticket"), ("s9", "ticket"), ("zz-ghost", "row")}
    assert wanted <= set(found)
    assert any(subject.startswith("funnel_daily") and name == "failed" for subject, name in found)
    rebuild.rebuild(database, no_progress)
    assert differences(database) == []


def test_a_missing_row_and_a_surplus_one_are_told_apart(database: Database) -> None:
    store(database, delivery("onboarding.started", "s1"), delivery("onboarding.started", "s2"))
    row = onboard_sessions.c
    with database.write() as connection:
        connection.execute(delete(onboard_sessions).where(row.session_id == "s1"))
        ghost = session_row(database, "s2") | {"session_id": "ghost"}
        connection.execute(onboard_sessions.insert().values(ghost))
    assert sorted(session_differences(database, no_progress)) == [
        ("ghost", "row", "a row", "no row"),
        ("s1", "row", "no row", "a row"),
    ]


def test_a_read_model_may_have_keys_that_are_text(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(database, delivery("onboarding.started", "s1", domain="acme.pt"))
    by_domain = Table(
        "by_domain", MetaData(), Column("domain", String, primary_key=True), Column("sessions", Integer)
    )

    def totals(sessions: Table) -> Select[Any]:
        return select(sessions.c.domain, func.count().label("sessions")).group_by(sessions.c.domain)

    monkeypatch.setattr(
        "projections.rebuild.verify.READ_MODELS", [ReadModel(by_domain, totals, lambda *_: None, (totals,))]
    )
    with database.write() as connection:
        by_domain.create(connection)
        connection.execute(by_domain.insert().values(domain="acme.pt", sessions=2))
    assert differences(database) == [("by_domain acme.pt", "sessions")]


def test_what_a_ticket_ought_to_be_is_said(database: Database) -> None:
    fill(database, 5)
    with database.write() as connection:
        connection.execute(delete(tickets).where(tickets.c.session_id.in_(["s2", "s4"])))
    assert list(verify(database, no_progress)) == [
        ("s2", "ticket", None, "open"),
        ("s4", "ticket", None, "ready_for_ops"),
    ]


def test_of_days_alike_the_wrong_one_is_named(database: Database) -> None:
    store(database, delivery("onboarding.started", "s1"), delivery("onboarding.started", "s2", 24 * 60))
    with database.write() as connection:
        first = connection.execute(select(func.min(funnel_daily.c.day))).scalar_one()
        connection.execute(update(funnel_daily).where(funnel_daily.c.day == first).values(failed=1))
    assert differences(database) == [(f"funnel_daily {first}", "failed")]


def test_one_session_can_be_mended_alone(database: Database) -> None:
    fill(database)
    right = session_row(database, "s4")
    with database.write() as connection:
        connection.execute(update(onboard_sessions).values(domain="wrong.pt"))
    assert repair.rebuild_session(database, "s4")
    assert session_row(database, "s4") == right
    assert session_row(database, "s5")["domain"] == "wrong.pt"


def test_a_session_mended_alone_is_mended_in_every_read_model(database: Database) -> None:
    fill(database)
    with database.write() as connection:
        wrong = update(onboard_sessions).where(onboard_sessions.c.session_id == "s4")
        connection.execute(wrong.values(furthest_stage="started", current_stage="started"))
    repair.rebuild_session(database, "s4")
    assert differences(database) == []


def test_a_session_mended_alone_holds_up_ingest_for_other_tables_only_when_they_are_wrong(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database)
    write, held = database.write, []

    def noted() -> AbstractContextManager[Connection]:
        held.append("lock")
        return write()

    monkeypatch.setattr(database, "write", noted)
    repair.rebuild_session(database, "s4")
    assert held == ["lock"]
    with write() as connection:
        connection.execute(update(funnel_daily).values(failed=99))
    held.clear()
    repair.rebuild_session(database, "s4")
    assert held == ["lock"] * 2
    assert differences(database) == []


@pytest.mark.parametrize("harm", [delete(tickets), update(tickets).values(ready_for_ops=False)])
def test_a_session_mended_alone_has_its_ticket_mended(database: Database, harm: Any) -> None:
    fill(database)
    with database.write() as connection:
        connection.execute(harm.where(tickets.c.session_id == "s4"))
    assert differences(database) == [("s4", "ticket")]
    repair.rebuild_session(database, "s4")
    assert differences(database) == []


def test_a_session_mended_alone_gets_no_ticket_it_does_not_need(database: Database) -> None:
    store(database, delivery("onboarding.started"))
    repair.rebuild_session(database, "s1")
    with database.read() as connection:
        assert connection.execute(select(tickets)).all() == []


@pytest.mark.parametrize("read_at_once", [1, 7, 10_000])
def test_all_tickets_are_mended_in_rounds_of_any_size(
    database: Database, monkeypatch: pytest.MonkeyPatch, read_at_once: int
) -> None:
    monkeypatch.setattr(repair, "_TICKETS_READ", read_at_once)
    monkeypatch.setattr(repair, "TOGETHER", 2)
    fill(database)
    with database.write() as connection:
        connection.execute(delete(tickets))
    assert len(differences(database)) > 10
    repair.settle_tickets(database)
    assert differences(database) == []


def test_a_session_the_log_does_not_know_is_said(database: Database) -> None:
    assert not repair.rebuild_session(database, "nobody")


def test_verify_changes_nothing(database: Database) -> None:
    fill(database)
    with database.write() as connection:
        connection.execute(update(onboard_sessions).values(domain="wrong.pt"))
    before = session_rows(database)
    assert len(differences(database)) == 30
    assert session_rows(database) == before


def test_a_session_of_unknown_events_alone_counts_for_no_day(database: Database) -> None:
    store(database, delivery("coffee.brewed"))
    with database.read() as connection:
        assert connection.execute(select(funnel_daily)).all() == []
    assert differences(database) == []


def test_a_session_found_to_have_begun_earlier_leaves_no_empty_day(database: Database) -> None:
    day = 24 * 60
    store(database, delivery("domain.validated", "s1", 2 * day), delivery("domain.validated", "s2", 0))
    store(database, delivery("onboarding.started", "s1", day))
    with database.read() as connection:
        days = (
            connection.execute(select(funnel_daily.c.sessions).order_by(funnel_daily.c.day)).scalars().all()
        )
    assert days == [1, 1]
    assert differences(database) == []


@pytest.mark.parametrize("minute", [-30_000_000, -1_440, 0, 1_439, 40_000_000], ids=str)
def test_any_day_counts_alike_in_every_way(database: Database, minute: int) -> None:
    store(database, delivery("onboarding.failed", "s1", minute), delivery("domain.validated", "s2", minute))
    store(database, delivery("onboarding.started", "s1", minute - 1))
    assert differences(database) == []
