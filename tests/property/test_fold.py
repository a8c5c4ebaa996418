"""The fold against the oracle, without a database."""

from typing import Any

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from projections.onboarding.events import Event, sort_key
from projections.onboarding.fold import Session, apply, fold, fold_tolerantly
from projections.onboarding.rows import COLUMNS, from_row, to_row
from tests.deliveries import logged
from tests.property import oracle
from tests.property.histories import expected_row, histories, near_start, to_delivery

one_session = histories(near_start(), ["s1"])


def as_event(event: oracle.OracleEvent, position: int = 1) -> Event:
    """As it comes out of the log."""
    return logged(to_delivery(event), position)


def row_of(session: Session) -> dict[str, Any]:
    return dict(zip(COLUMNS, to_row(session), strict=True))


@examples(max_examples=400)
@given(st.data())
def test_the_fold_is_the_oracle_s_in_any_order(data: st.DataObject) -> None:
    history = data.draw(one_session)
    arrival = data.draw(st.permutations(history))
    assert row_of(fold("s1", map(as_event, arrival))) == expected_row("s1", history)


@given(one_session)
def test_the_sort_is_the_oracle_s(history: list[oracle.OracleEvent]) -> None:
    ordered = sorted(map(as_event, history), key=sort_key)
    wanted = [(event["source"], event["event_id"]) for event in oracle.in_order(history)]
    assert [(event.source, event.event_id) for event in ordered] == wanted


@given(one_session, st.integers(0, 13))
def test_a_stored_state_goes_on_where_it_stopped(history: list[oracle.OracleEvent], cut: int) -> None:
    ordered = sorted(map(as_event, history), key=sort_key)
    session = from_row(to_row(fold("s1", ordered[:cut])))
    for event in ordered[cut:]:
        apply(session, event)
    assert to_row(session) == to_row(fold("s1", ordered))


@given(one_session)
def test_the_tolerant_fold_is_the_fold_when_nothing_raises(history: list[oracle.OracleEvent]) -> None:
    session, failures = fold_tolerantly("s1", map(as_event, history))
    assert failures == []
    assert row_of(session) == expected_row("s1", history)
