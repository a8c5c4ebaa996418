"""An event as the fold takes it, and the order of a session's events. Pure."""

from typing import NamedTuple

from projections.envelope import Appended
from projections.onboarding.process import RANK, TYPES_WITH_FACTS


class Event(NamedTuple):
    """What the fold needs of a logged event.

    A session's events compare by the contract's sort key, which the fields after `session_id` are; `source`
    only breaks the tie of two sources using one id at one instant.
    """

    session_id: str
    effective_at: int
    rank: int
    event_id: str
    source: str
    event_type: str
    domain: str | None
    facts: str | None
    """The payload as JSON text for TYPES_WITH_FACTS, else None."""
    position: int


def sort_key(event: Event) -> tuple[int, int, str, str]:
    """The total order of a session's events, the same on every database."""
    return event[1:5]


def to_event(appended: Appended) -> Event:
    """The event, as `history.foldable` reads it back from the log."""
    envelope = appended.delivery.envelope
    return Event(
        envelope.session_id,
        appended.effective_at,
        RANK.get(envelope.event_type, 0),
        envelope.event_id,
        appended.delivery.source,
        envelope.event_type,
        envelope.domain,
        envelope.payload if envelope.event_type in TYPES_WITH_FACTS else None,
        appended.position,
    )
