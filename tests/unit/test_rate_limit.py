"""The bucket of a source: nothing is taken twice, nothing is free."""

import pytest

from ops_service.ingress.rate_limit import RateLimit


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def limit(now: list[float]) -> RateLimit:
    return RateLimit(10, lambda: now[0])


def test_what_a_delivery_has_taken_counts_once(limit: RateLimit) -> None:
    assert limit.take("a", 1) == 0
    assert limit.take("a", 10, counted=1) == 0
    assert limit.take("a", 1) == pytest.approx(0.1)
    assert limit.take("b", 10) == 0


def test_a_delivery_larger_than_the_bucket_passes_when_it_is_full(limit: RateLimit, now: list[float]) -> None:
    assert limit.take("a", 2) == 0
    assert limit.take("a", 500, counted=2) == 0
    assert limit.take("a", 1) == pytest.approx(49.1)
    now[0] += 49.2
    assert limit.take("a", 1) == 0


def test_what_does_not_pass_has_told_how_long_to_wait(limit: RateLimit, now: list[float]) -> None:
    assert limit.take("a", 8) == 0
    assert limit.take("a", 1) == 0
    wait = limit.take("a", 9, counted=1)
    now[0] += wait
    assert limit.take("a", 1) == 0
    assert limit.take("a", 9, counted=1) == 0
