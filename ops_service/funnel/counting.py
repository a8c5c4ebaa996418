"""The funnel's arithmetic over session rows. Pure: today's funnel and a past one are counted alike."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ops_service.sessions.standing import state_of
from portal_hooks.contract import FAILED_STAGE, STAGE_INDEX, STAGES
from projections.onboarding.fold import Session

OUTCOMES: Final = ("failed", "active", "stalled")


class FunnelRow(NamedTuple):
    """What the funnel needs of a session; instants in microseconds."""

    last_event_at: int
    current_stage: str
    furthest_stage: str | None
    reached: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of the funnel; times are from the previous reached stage to this one."""

    stage: str
    reached: int
    conversion_from_start: float | None
    conversion_from_previous: float | None
    failed: int
    active: int
    stalled: int
    median_seconds: float | None
    p90_seconds: float | None


class Funnel(NamedTuple):
    """Invariant: total = completed + the steps' failed, active and stalled."""

    stages: dict[str, int]
    total: int
    steps: list[Step]
    active_total: int


def count(rows: Iterable[FunnelRow], stalled_before: int) -> Funnel:
    """Count sessions; open ones whose last event lies before `stalled_before` are stalled."""
    current: Counter[str] = Counter()
    furthest: Counter[int] = Counter()
    standing: Counter[tuple[int, str | None]] = Counter()
    durations: list[list[int]] = [[] for _ in STAGES]
    for row in rows:
        # A session known only by a failure has started, though no event says when.
        index = STAGE_INDEX[row.furthest_stage] if row.furthest_stage else 0
        current[row.current_stage] += 1
        furthest[index] += 1
        standing[index, state_of(row.current_stage, row.last_event_at, stalled_before)] += 1
        _collect(row.reached, durations)
    reached = [sum(furthest[later] for later in range(index, len(STAGES))) for index in range(len(STAGES))]
    steps = [_step(index, reached, standing, sorted(durations[index])) for index in range(len(STAGES))]
    return Funnel(
        stages={stage: current[stage] for stage in (*STAGES, FAILED_STAGE)},
        total=sum(current.values()),
        steps=steps,
        active_total=sum(step.active + step.stalled for step in steps),
    )


def _collect(reached: tuple[int | None, ...], durations: list[list[int]]) -> None:
    previous = None
    for index, at in enumerate(reached):
        if at is None:
            continue
        # A stage reached before the one that precedes it, as when a customer goes back, has no duration.
        if previous is not None and at >= previous:
            durations[index].append(at - previous)
        previous = at


def _step(
    index: int, reached: list[int], standing: Counter[tuple[int, str | None]], durations: list[int]
) -> Step:
    failed, active, stalled = (standing[index, outcome] for outcome in OUTCOMES)
    return Step(
        STAGES[index],
        reached[index],
        _ratio(reached[index], reached[0]),
        _ratio(reached[index], reached[index - 1]) if index else None,
        failed,
        active,
        stalled,
        _percentile(durations, 0.5),
        _percentile(durations, 0.9),
    )


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _percentile(ordered: list[int], share: float) -> float | None:
    """Seconds, by linear interpolation between the closest ranks (SQL's percentile_cont)."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return round((ordered[low] + (ordered[high] - ordered[low]) * (place - low)) / 1_000_000, 3)


def failures(codes: Mapping[str | None, int]) -> list[dict[str, Any]]:
    """Open failures by code, most frequent first."""
    ordered = sorted(codes.items(), key=lambda item: (-item[1], item[0] or ""))
    return [{"code": code, "count": number} for code, number in ordered]


def open_failures(sessions: Iterable[Session]) -> Counter[str | None]:
    """The codes of the open failures, counted; an empty one is none."""
    return Counter(
        session.failure_code or None for session in sessions if session.current_stage == FAILED_STAGE
    )
