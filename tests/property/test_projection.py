"""Whatever the order, repetition and grouping of deliveries: the same rows, on both databases."""

from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import select

from portal_hooks.instants import now_instant
from projections.database.database import Database
from projections.database.tables import funnel_daily, onboard_sessions, ticket_events, tickets, webhook_events
from projections.envelope import Delivery
from projections.onboarding.projector import project, refold
from projections.onboarding.rows import COLUMNS
from projections.onboarding.tickets import READY_NOTE
from projections.rebuild import rebuild
from projections.rebuild.verify import verify
from tests.deliveries import session_rows, wipe
from tests.property import oracle
from tests.property.histories import by_session, expected_rows, histories, near_start, to_delivery

one_database = examples(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

SESSIONS = ["s1", "S1", "s-2"]

History = list[oracle.OracleEvent]


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[History, list[list[Delivery]]]:
    """A history, and the transactions in which it arrives: any order, some events repeatedly."""
    history = draw(histories(near_start(), SESSIONS))
    repeated = draw(st.lists(st.sampled_from(history), max_size=5))
    arrival = [to_delivery(event) for event in draw(st.permutations(history + repeated))]
    ends = draw(st.lists(st.booleans(), min_size=len(arrival), max_size=len(arrival)))
    return history, list(_cut(arrival, ends))


def _cut(arrival: list[Delivery], ends: list[bool]) -> Iterator[list[Delivery]]:
    group: list[Delivery] = []
    for delivery, is_end in zip(arrival, ends, strict=True):
        group.append(delivery)
        if is_end:
            yield group
            group = []
    if group:
        yield group


def arrive(database: Database, groups: list[list[Delivery]]) -> list[str]:
    """Project the groups into the emptied database; returns what became of each delivery."""
    with database.write() as connection:
        wipe(connection)
    statuses: list[str] = []
    for group in groups:
        with database.write() as connection:
            statuses += [receipt.status for receipt in project(connection, group)]
    return statuses


def no_progress(_phase: str, _done: int, _total: int) -> None:
    pass


@one_database
@given(arrivals())
def test_rows_are_the_oracle_s_whatever_the_arrival(
    database: Database, arrived: tuple[History, list[list[Delivery]]]
) -> None:
    history, groups = arrived
    statuses = arrive(database, groups)
    assert statuses.count("created") == len(history)
    assert set(statuses) <= {"created", "duplicate"}
    assert session_rows(database) == expected_rows(history)


@one_database
@given(arrivals())
def test_a_refold_from_the_log_changes_nothing(
    database: Database, arrived: tuple[History, list[list[Delivery]]]
) -> None:
    history, groups = arrived
    arrive(database, groups)
    before = everything(database)
    with database.write() as connection:
        assert refold(connection, SESSIONS, now_instant()) == []
    assert everything(database) == before
    assert [row["session_id"] for row in session_rows(database)] == sorted(by_session(history))


@one_database
@given(arrivals())
def test_tickets_follow_the_state_and_not_the_arrival(
    database: Database, arrived: tuple[History, list[list[Delivery]]]
) -> None:
    history, groups = arrived
    arrive(database, groups)
    wanted = {session_id: oracle.ticket(events) for session_id, events in by_session(history).items()}
    with database.read() as connection:
        found = connection.execute(select(tickets.c.session_id, tickets.c.ready_for_ops)).all()
        notes = connection.execute(select(ticket_events.c.ticket_id, ticket_events.c.body)).all()
        ready = connection.execute(select(tickets.c.id).where(tickets.c.ready_for_ops)).scalars().all()
    assert sorted(found) == sorted(
        (session_id, is_ready) for session_id, is_ready in wanted.items() if is_ready is not None
    )
    assert sorted(notes) == sorted((ticket_id, READY_NOTE) for ticket_id in ready)


@examples(parent=one_database, max_examples=25)
@given(arrivals())
def test_a_rebuild_leaves_every_row_and_ticket_as_it_was(
    database: Database, arrived: tuple[History, list[list[Delivery]]]
) -> None:
    history, groups = arrived
    arrive(database, groups)
    before = everything(database)
    summary = rebuild.rebuild(database, no_progress)
    assert (summary.events, summary.sessions) == (len(history), len(by_session(history)))
    assert everything(database) == before
    assert list(verify(database, no_progress)) == []


@examples(parent=one_database, max_examples=25)
@given(arrivals(), st.data())
def test_verify_finds_any_field_that_is_off(
    database: Database, arrived: tuple[History, list[list[Delivery]]], data: st.DataObject
) -> None:
    history, groups = arrived
    arrive(database, groups)
    session_id = data.draw(st.sampled_from(sorted(by_session(history))))
    column = data.draw(st.sampled_from(COLUMNS[1:]))
    row = onboard_sessions.c
    wrong = -7 if isinstance(row[column].type.python_type(), int) else "wrong"
    with database.write() as connection:
        update = onboard_sessions.update().where(row.session_id == session_id)
        connection.execute(update.values({column: wrong}))
    found = [(difference.subject, difference.field) for difference in verify(database, no_progress)]
    assert (session_id, column) in found
    others = {subject for subject, _ in found if not subject.startswith("funnel_daily")}
    assert others == {session_id}


def everything(database: Database) -> dict[str, list[Any]]:
    """The log and all that is derived from it, as the database returns it."""
    with database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in (webhook_events, onboard_sessions, funnel_daily, tickets, ticket_events)
        }
