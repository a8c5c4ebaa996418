"""Reading costs no more than its bytes: the worst bodies we could think of, beside as many bytes of numbers.

Compared are seconds of this thread's own computing, the least of several tries, so that a busy machine does
not decide. Quadratic work costs a hundred times as much and more.
"""

import gc
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from ops_service.http.problems import Problem
from ops_service.ingress import cloudevents
from ops_service.ingress.deliveries import JSON, read_batch, read_single
from portal_hooks.contract import MAX_EVENT_BYTES, InvalidEvent
from tests.fuzz.hostile_bodies import HOSTILE

SIZE = 1024 * 1024
MOST_TIMES = 5


@pytest.fixture(autouse=True)
def _collect_only_what_reading_makes() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def seconds(body: bytes) -> float:
    taken = []
    for _ in range(3):
        begun = time.thread_time()
        for carrier in (JSON, cloudevents.BATCH):
            with suppress(Problem, InvalidEvent):
                read_batch(body, carrier, MAX_EVENT_BYTES)
        with suppress(Problem, InvalidEvent):
            read_single(body, JSON, "delivery")
        taken.append(time.thread_time() - begun)
    return min(taken)


@pytest.mark.parametrize("name", HOSTILE)
def test_the_worst_bodies_cost_no_more_than_numbers(name: str) -> None:
    assert seconds(HOSTILE[name](SIZE)) <= MOST_TIMES * seconds(HOSTILE["integers"](SIZE))
