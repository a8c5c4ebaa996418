"""Every number of the funnel is the total of the list it opens, and both are what the oracle counts."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from ops_service.funnel import counting
from ops_service.funnel import reading as funnel_reading
from ops_service.funnel.counting import Funnel
from ops_service.funnel.parameters import FunnelQuestion
from ops_service.funnel.reading import funnel_of
from ops_service.http.windows import Window
from ops_service.sessions import past, reading
from ops_service.sessions.reading import Filters, Place
from portal_hooks.contract import STAGES
from portal_hooks.instants import DAY, HOUR, MINUTE
from projections.database.database import Database
from projections.log import LOG
from projections.onboarding.projector import project
from tests.deliveries import START, wipe
from tests.property import oracle
from tests.property.histories import by_session, histories, to_delivery

one_database = examples(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])

NOW = START
SINCE = NOW - 48 * HOUR
STALLED_BEFORE = NOW - HOUR

# Both sides of each edge: the window's start, the stalled limit, and a clock a little ahead.
INSTANTS = [
    SINCE - HOUR,
    SINCE - 1,
    SINCE,
    NOW - 3 * HOUR,
    STALLED_BEFORE - 1,
    STALLED_BEFORE,
    NOW - MINUTE,
    NOW,
    NOW + 4 * MINUTE,
]

ALL = Filters(since=SINCE)

History = list[oracle.OracleEvent]

window_histories = histories(st.sampled_from(INSTANTS), ["a", "b", "c", "d", "e", "f", "g"], max_size=24)


@examples(parent=one_database, max_examples=40)
@given(window_histories)
def test_each_number_is_the_total_of_the_list_it_opens(database: Database, history: History) -> None:
    fill(database, history)
    with database.read() as connection:
        counted = funnel_now(connection)
        codes = funnel_reading.failure_codes(connection, Window(SINCE, None))
        for filters, number in (*numbers(counted, ALL), *failure_numbers(codes, ALL)):
            rows = reading.list_sessions(connection, filters, STALLED_BEFORE, Place(), 1000)
            total = reading.count_sessions(connection, filters, STALLED_BEFORE)
            assert total == len(rows) == number, filters


@one_database
@given(window_histories)
def test_the_funnel_is_the_oracle_s(database: Database, history: History) -> None:
    fill(database, history)
    wanted = oracle.funnel(list(by_session(history).values()), SINCE, STALLED_BEFORE)
    with database.read() as connection:
        counted = funnel_now(connection)
        codes = funnel_reading.failure_codes(connection, Window(SINCE, None))
    assert facts(counted, codes) == wanted
    outcomes = sum(step.failed + step.active + step.stalled for step in counted.steps)
    assert counted.total == counted.stages["completed"] + outcomes
    assert counted.total == counted.steps[0].reached


@one_database
@given(window_histories, st.sampled_from(INSTANTS), st.sampled_from([1, 48, 100]))
def test_a_past_funnel_counts_what_had_been_received_by_then(
    database: Database, history: History, as_of: int, hours: int
) -> None:
    fill(database, history)
    known = [event for event in history if event["received_at"] <= as_of]
    since, stalled_before = as_of - hours * HOUR, as_of - HOUR
    wanted = oracle.funnel(list(by_session(known).values()), since, stalled_before)
    with database.read() as connection:
        sessions = [
            session
            for session in past.sessions_as_of(connection, Window(since, None), as_of)
            if session.current_stage is not None
        ]
        log = connection.execute(select(LOG.position, LOG.received_at)).all()
        assert past.position_as_of(connection, as_of) == max(
            (position for position, received_at in log if received_at <= as_of), default=0
        )
    rows = [
        counting.FunnelRow(
            each.last_event_at, each.current_stage or "", each.furthest_stage, tuple(each.reached)
        )
        for each in sessions
    ]
    counted = counting.count(rows, stalled_before)
    assert facts(counted, counting.open_failures(sessions)) == wanted


@examples(parent=one_database, max_examples=30)
@given(window_histories, st.sampled_from(INSTANTS), st.sampled_from([None, *INSTANTS]))
def test_each_number_of_a_custom_window_is_the_total_of_its_list(
    database: Database, history: History, since: int, until: int | None
) -> None:
    fill(database, history)
    inside, window = Filters(since=since, until=until), Window(since, until)
    with database.read() as connection:
        counted = counting.count(funnel_reading.funnel_rows(connection, window), STALLED_BEFORE)
        codes = funnel_reading.failure_codes(connection, window)
        for filters, number in (*numbers(counted, inside), *failure_numbers(codes, inside)):
            assert reading.count_sessions(connection, filters, STALLED_BEFORE) == number, filters


@examples(parent=one_database, max_examples=60)
@given(window_histories, st.sampled_from(INSTANTS), st.none() | st.sampled_from(INSTANTS))
def test_each_number_of_a_past_funnel_is_the_total_of_its_list(
    database: Database, history: History, as_of: int, until: int | None
) -> None:
    fill(database, history)
    inside, stalled_before = Filters(since=SINCE, until=until), as_of - HOUR
    with database.read() as connection:
        window = Window(SINCE, until)
        asked = FunnelQuestion(window, as_of, as_of, stalled_before)
        answer = funnel_of(connection, asked)
        codes = {each["code"]: each["count"] for each in answer["failures"]}
        steps = answer["steps"]
        counted = Funnel(answer["stages"], answer["total"], steps, answer["active_total"])
        for filters, number in (*numbers(counted, inside), *failure_numbers(codes, inside)):
            total, rows = past.list_sessions(connection, filters, stalled_before, as_of, Place())
            assert total == len(rows) == number, filters


FILTER_VALUES: dict[str, list[Any]] = {
    "domain": ["acme.pt"],
    "q": ["A", "acme", "e"],
    "began_since": INSTANTS,
    "began_until": INSTANTS,
    "stage": [*STAGES, "failed"],
    "reached": [*STAGES],
    "furthest": [*STAGES],
}
one_filter = st.one_of(
    *(st.fixed_dictionaries({name: st.sampled_from(values)}) for name, values in FILTER_VALUES.items())
)


@examples(parent=one_database, max_examples=80)
@given(window_histories, st.data())
def test_a_past_list_of_this_moment_is_the_live_one(
    database: Database, history: History, data: st.DataObject
) -> None:
    fill(database, history)
    filters = Filters(since=SINCE - DAY, **data.draw(one_filter))
    place = Place(None, data.draw(st.booleans()))
    with database.read() as connection:
        live = reading.list_sessions(connection, filters, STALLED_BEFORE, place, 1000)
        _, then = past.list_sessions(connection, filters, STALLED_BEFORE, NOW + DAY, place)
    assert [row.session for row in then] == [row.session for row in live]


@examples(parent=one_database, max_examples=30)
@given(window_histories, st.integers(1, 3), st.booleans())
def test_pages_are_the_whole_list_without_gap_or_repeat(
    database: Database, history: History, limit: int, newest_first: bool
) -> None:
    fill(database, history)
    filters = Filters(since=SINCE)
    with database.read() as connection:
        whole = reading.list_sessions(connection, filters, STALLED_BEFORE, Place(None, newest_first), 1000)
        paged: list[reading.SessionRow] = []
        place = Place(None, newest_first)
        while page := reading.list_sessions(connection, filters, STALLED_BEFORE, place, limit):
            paged += page
            place = Place((page[-1].session.last_event_at, page[-1].session.session_id), newest_first)
    assert paged == whole
    keys = [(row.session.last_event_at, row.session.session_id) for row in whole]
    assert keys == sorted(keys, reverse=newest_first)


@pytest.mark.parametrize("until", [STALLED_BEFORE, NOW])
def test_the_window_s_end_is_not_in_it(database: Database, until: int) -> None:
    history = [event_at(until - 1, "in"), event_at(until, "out")]
    fill(database, history)
    wanted = oracle.funnel([[event] for event in history], SINCE, STALLED_BEFORE, until)
    with database.read() as connection:
        rows = funnel_reading.funnel_rows(connection, Window(SINCE, until))
        assert facts(counting.count(rows, STALLED_BEFORE), {}) == wanted
        total = reading.count_sessions(connection, Filters(since=SINCE, until=until), 0)
    assert wanted["total"] == total == 1


def numbers(counted: Funnel, inside: Filters) -> Iterable[tuple[Filters, int]]:
    """Each number and the query that the desk opens it with."""
    in_progress = ("active", "stalled")
    yield inside._replace(reached="started"), counted.total
    yield inside._replace(states=("completed", "failed", *in_progress)), counted.total
    yield inside._replace(states=in_progress), counted.active_total
    for stage, number in counted.stages.items():
        yield inside._replace(stage=stage), number
    for step in counted.steps:
        yield inside._replace(reached=step.stage), step.reached
        for state in counting.OUTCOMES:
            yield inside._replace(states=(state,), furthest=step.stage), getattr(step, state)


def failure_numbers(codes: Mapping[str | None, int], inside: Filters) -> Iterable[tuple[Filters, int]]:
    """Failures by code; an empty code asks for those that gave none."""
    for code, number in codes.items():
        yield inside._replace(states=("failed",), failure_code=code or ""), number


def funnel_now(connection: Connection) -> Funnel:
    return counting.count(funnel_reading.funnel_rows(connection, Window(SINCE, None)), STALLED_BEFORE)


def facts(counted: Funnel, codes: dict[str | None, int]) -> dict[str, Any]:
    """The funnel in the oracle's form."""
    steps = {
        step.stage: {name: getattr(step, name) for name in ("reached", "failed", "active", "stalled")}
        for step in counted.steps
    }
    return {
        "total": counted.total,
        "stages": counted.stages,
        "steps": steps,
        "active_total": counted.active_total,
        "failures": dict(codes),
    }


def event_at(instant: int, session_id: str) -> oracle.OracleEvent:
    return {
        "event_id": f"e-{session_id}",
        "event_type": "domain.validated",
        "session_id": session_id,
        "source": "portal",
        "occurred_at": instant,
        "received_at": instant,
        "domain": None,
        "data": None,
    }


def fill(database: Database, history: History) -> None:
    with database.write() as connection:
        wipe(connection)
        project(connection, [to_delivery(event) for event in history])
