"""A session's story by the one fold: what each event did, and which event set each field. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from portal_hooks.contract import FAILED, FAILED_STAGE, STAGE_OF
from projections import onboarding, sessions
from projections.log import LoggedEvent
from projections.onboarding import Session

QUARANTINED = "quarantined"


class Told(NamedTuple):
    """An event and what it did."""

    logged: LoggedEvent
    effect: str
    stage: str | None


class Setting(NamedTuple):
    """Which event gave a field the value it has."""

    position: int
    event_id: str
    event_type: str


def tell(session_id: str, events: Iterable[LoggedEvent], quarantined: set[int]) -> tuple[Session, list[Told]]:
    """The session's state and its events in sort order. Quarantined events change nothing."""
    session = Session(session_id)
    told = []
    for logged in _in_order(events):
        effect = (
            QUARANTINED if logged.position in quarantined else onboarding.apply(session, logged.event).value
        )
        told.append(Told(logged, effect, stage_of(logged.event.event_type)))
    return session, told


def explain(
    session_id: str, events: Iterable[LoggedEvent], quarantined: set[int]
) -> dict[str, Setting | None]:
    """For each column of the session's row, the event that set it last; None for what was never set."""
    session = Session(session_id)
    settings: dict[str, Setting | None] = dict.fromkeys(sessions.COLUMNS)
    before: tuple[Any, ...] = (None,) * len(sessions.COLUMNS)
    for logged in _in_order(events):
        if logged.position in quarantined:
            continue
        onboarding.apply(session, logged.event)
        after = sessions.to_row(session)
        setting = Setting(logged.position, logged.event.event_id, logged.event.event_type)
        settings |= dict.fromkeys(_changed(before, after), setting)
        before = after
    return settings


def stage_of(event_type: str) -> str | None:
    """The stage an event of this type reports; None for unknown types."""
    return FAILED_STAGE if event_type == FAILED else STAGE_OF.get(event_type)


def _in_order(events: Iterable[LoggedEvent]) -> list[LoggedEvent]:
    return sorted(events, key=lambda logged: onboarding.sort_key(logged.event))


def _changed(before: tuple[Any, ...], after: tuple[Any, ...]) -> Iterator[str]:
    for name, was, now in zip(sessions.COLUMNS, before, after, strict=True):
        if was != now:
            yield name
