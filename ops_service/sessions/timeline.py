"""A session's story by the one fold: what each event did, and which event set each field. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from portal_hooks.contract import FAILED, FAILED_STAGE, STAGE_OF
from projections.onboarding import fold, rows
from projections.onboarding.events import Event
from projections.onboarding.fold import Session, fold_tolerantly

QUARANTINED = "quarantined"


class Told(NamedTuple):
    """An event and what it did."""

    event: Event
    effect: str
    stage: str | None


@dataclass(frozen=True, slots=True)
class SetBy:
    """The event that gave a field its value."""

    position: int
    event_id: str
    event_type: str


def tell(session_id: str, events: Iterable[Event], quarantined: set[int]) -> tuple[Session, list[Told]]:
    """The session's state and its events in sort order. What is or would be quarantined changes nothing."""
    events = sorted(events)
    without = _left_out(session_id, events, quarantined)
    session = Session(session_id)
    told = []
    for event in events:
        effect = QUARANTINED if event.position in without else fold.apply(session, event)
        told.append(Told(event, effect, stage_of(event.event_type)))
    return session, told


def explain(session_id: str, events: Iterable[Event], quarantined: set[int]) -> dict[str, SetBy | None]:
    """For each column of the session's row, the event that set it last; None for what was never set."""
    events = sorted(events)
    without = _left_out(session_id, events, quarantined)
    session = Session(session_id)
    settings: dict[str, SetBy | None] = dict.fromkeys(rows.COLUMNS)
    before: tuple[Any, ...] = (None,) * len(rows.COLUMNS)
    for event in events:
        if event.position in without:
            continue
        fold.apply(session, event)
        after = rows.to_row(session)
        set_by = SetBy(event.position, event.event_id, event.event_type)
        settings |= dict.fromkeys(_changed(before, after), set_by)
        before = after
    return settings


def stage_of(event_type: str) -> str | None:
    """The stage an event of this type reports; None for unknown types."""
    return FAILED_STAGE if event_type == FAILED else STAGE_OF.get(event_type)


def _left_out(session_id: str, events: Iterable[Event], quarantined: set[int]) -> set[int]:
    """The quarantined positions, and those that a fold newer than the rows would raise on."""
    _, failures = fold_tolerantly(
        session_id, (event for event in events if event.position not in quarantined)
    )
    return quarantined | {failure.event.position for failure in failures}


def _changed(before: tuple[Any, ...], after: tuple[Any, ...]) -> Iterator[str]:
    for name, was, now in zip(rows.COLUMNS, before, after, strict=True):
        if was != now:
            yield name
