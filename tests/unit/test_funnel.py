"""The funnel's arithmetic, by hand."""

import statistics
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_service.funnel import counting
from ops_service.funnel.counting import Funnel, FunnelRow, Step, count
from portal_hooks.contract import STAGES

SECOND = 1_000_000
LIMIT = 1_000 * SECOND
"""Who was idle since before this instant is stalled."""


def row(current: str, furthest: str | None, *reached: int | None, last: int = LIMIT) -> FunnelRow:
    """`reached` in seconds, from the first stage on."""
    times = [None if second is None else second * SECOND for second in reached]
    return FunnelRow(last, current, furthest, (*times, *[None] * (6 - len(times))))


def step(counted: Funnel, stage: str) -> Step:
    return counted.steps[STAGES.index(stage)]


def test_an_empty_window_is_all_zero_and_divides_by_nothing() -> None:
    counted = count([], LIMIT)
    assert counted.stages == dict.fromkeys([*STAGES, "failed"], 0)
    assert (counted.total, counted.active_total) == (0, 0)
    first = Step("started", 0, None, None, 0, 0, 0, None, None)
    assert counted.steps == [replace(first, stage=stage) for stage in STAGES]


def test_each_session_stands_in_one_stage_and_reached_those_before() -> None:
    rows = [
        row("started", "started"),
        row("account_created", "account_created"),
        row("completed", "completed"),
        row("completed", "completed"),
    ]
    counted = count(rows, LIMIT)
    assert [each.reached for each in counted.steps] == [4, 3, 3, 3, 2, 2]
    assert (counted.stages["completed"], counted.stages["started"], counted.total) == (2, 1, 4)
    assert [each.conversion_from_start for each in counted.steps] == [1.0, 0.75, 0.75, 0.75, 0.5, 0.5]
    assert [each.conversion_from_previous for each in counted.steps] == [None, 0.75, 1.0, 1.0, 0.6667, 1.0]


def test_a_failed_session_stands_where_it_got_to() -> None:
    counted = count([row("failed", "dns_applied"), row("failed", None)], LIMIT)
    assert counted.stages["failed"] == 2
    assert (step(counted, "dns_applied").failed, step(counted, "started").failed) == (1, 1)
    assert [each.reached for each in counted.steps] == [2, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("last", "state"), [(LIMIT - 1, "stalled"), (LIMIT, "active"), (LIMIT + 1, "active")]
)
def test_idle_for_longer_than_the_limit_is_stalled(last: int, state: str) -> None:
    stands = step(count([row("started", "started", last=last)], LIMIT), "started")
    assert (stands.active, stands.stalled) == ((1, 0) if state == "active" else (0, 1))


def test_the_completed_and_the_failed_are_never_stalled() -> None:
    counted = count([row("completed", "completed", last=0), row("failed", "started", last=0)], LIMIT)
    assert [each.stalled for each in counted.steps] == [0] * 6
    assert counted.active_total == 0


def test_times_run_from_the_previous_stage_that_was_reached() -> None:
    rows = [row("dns_applied", "dns_applied", 0, 10, 40), row("dns_applied", "dns_applied", 0, None, 50)]
    counted = count(rows, LIMIT)
    assert step(counted, "started").median_seconds is None
    assert step(counted, "domain_validated").median_seconds == 10
    assert step(counted, "dns_applied").median_seconds == 40
    assert step(counted, "dns_applied").p90_seconds == 48


def test_a_stage_reached_before_the_one_that_precedes_it_has_no_duration() -> None:
    rows = [row("dns_applied", "dns_applied", 0, 30, 20), row("dns_applied", "dns_applied", 0, 10, 40)]
    assert step(count(rows, LIMIT), "dns_applied").median_seconds == 30


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=30))
def test_the_median_and_p90_are_the_standard_library_s(seconds: list[int]) -> None:
    counted = count([row("domain_validated", "domain_validated", 0, second) for second in seconds], LIMIT)
    validated = step(counted, "domain_validated")
    assert validated.median_seconds == pytest.approx(statistics.median(seconds), abs=0.001)
    ninth = statistics.quantiles(seconds, n=10, method="inclusive")[-1]
    assert validated.p90_seconds == pytest.approx(ninth, abs=0.001)


def test_the_invariant_holds_for_every_mixture() -> None:
    open_or_failed = [
        row(current, furthest, last=last)
        for furthest, last in product(STAGES[:-1], (0, LIMIT))
        for current in (furthest, "failed")
    ]
    rows = [*open_or_failed, row("failed", None), *[row("completed", "completed")] * 3]
    counted = count(rows, LIMIT)
    outcomes = sum(each.failed + each.active + each.stalled for each in counted.steps)
    assert counted.total == len(rows) == counted.stages["completed"] + outcomes
    assert counted.active_total == 10


def test_failures_come_most_frequent_first_then_by_code() -> None:
    counted = counting.failures({"b": 1, None: 2, "a": 1, "c": 5})
    assert [(each["code"], each["count"]) for each in counted] == [("c", 5), (None, 2), ("a", 1), ("b", 1)]
