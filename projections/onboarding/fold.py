"""The fold: how a session's events become its row. Pure: no I/O, no clock, no randomness, no SQL.

Live ingest, repair, rebuild, verify and every question about the past use this one definition
(contract, section 4).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec

from portal_hooks.contract import FAILED, FAILED_STAGE, INFRA_SYNCED, STAGE_OF, STAGES
from projections.canonical_json import canonical_json
from projections.onboarding.events import Event
from projections.onboarding.process import INFRA_OUTCOMES, LAST_STAGE, MAY_REPORT_INFRA

_REACHES = {kind: index for index, kind in enumerate(STAGE_OF)}
"""The index of the stage that an event of each type reaches."""


Effect = Literal["advanced", "confirmed", "failed", "recovered", "noted"]
"""What an event did to its session."""


class _Data(msgspec.Struct):
    """All that the fold reads of an event's `data`; the rest is skipped over unparsed."""

    step: Any = None
    code: Any = None
    reason: Any = None
    success: Any = None
    infra_status: Any = None


class _Facts(msgspec.Struct):
    """The part of a payload that the fold reads."""

    data: _Data | None = None


_NO_DATA = _Data()
_read_facts = msgspec.json.Decoder(_Facts).decode


@dataclass(slots=True)
class Session:
    """The state of one session. `apply` changes it; nothing else does."""

    session_id: str
    source: str = ""
    domain: str | None = None
    furthest: int = -1
    """Index into STAGES, -1 before any progress."""
    infra_status: str | None = None
    failed_at: int | None = None
    """Since when a failure is open; None when none is."""
    failure_step: str | None = None
    failure_code: str | None = None
    failure_reason: str | None = None
    failure_count: int = 0
    event_count: int = 0
    first_event_at: int = 0
    last_event_at: int = 0
    reached: list[int | None] = field(default_factory=lambda: [None] * len(STAGES))

    def copy(self) -> "Session":
        """A copy that can be changed without changing this one."""
        return Session(
            self.session_id,
            self.source,
            self.domain,
            self.furthest,
            self.infra_status,
            self.failed_at,
            self.failure_step,
            self.failure_code,
            self.failure_reason,
            self.failure_count,
            self.event_count,
            self.first_event_at,
            self.last_event_at,
            self.reached.copy(),
        )

    @property
    def current_stage(self) -> str | None:
        """`completed`, else `failed` while a failure is open, else the furthest stage."""
        if self.furthest < LAST_STAGE and self.failed_at is not None:
            return FAILED_STAGE
        return self.furthest_stage

    @property
    def furthest_stage(self) -> str | None:
        """The name of the furthest stage reached."""
        return STAGES[self.furthest] if self.furthest >= 0 else None


def apply(session: Session, event: Event) -> Effect:
    """Fold one event, which must come after all those folded before. Changes `session`."""
    # One unpacking costs less than many attributes, millions of times over.
    _, at, _, _, source, event_type, domain, _, _ = event
    if session.event_count == 0:
        session.source = source
        session.first_event_at = at
    session.event_count += 1
    session.last_event_at = at
    if domain is not None:
        session.domain = domain
    if event_type == FAILED:
        return _fail(session, event)
    stage = _REACHES.get(event_type)
    if stage is None or (event_type in MAY_REPORT_INFRA and not _settle_infra(session, event)):
        return "noted"
    return _progress(session, stage, at)


def fold(session_id: str, events: Iterable[Event]) -> Session:
    """The session's state after all its events, given in any order."""
    session = Session(session_id)
    for event in sorted(events):
        apply(session, event)
    return session


class FoldFailure(NamedTuple):
    """An event the fold raised on."""

    event: Event
    error: str


def fold_tolerantly(session_id: str, events: Iterable[Event]) -> tuple[Session, list[FoldFailure]]:
    """The fold of all events that can be folded, and those that cannot."""
    good = sorted(events)
    failures: list[FoldFailure] = []
    while True:
        session = Session(session_id)
        for event in good:
            try:
                apply(session, event)
            except Exception as error:
                failures.append(FoldFailure(event, f"{type(error).__name__}: {error}"))
                break
        else:
            return session, failures
        # The state is half changed: begin again without the event that raised.
        good.remove(event)


def describe(failure: FoldFailure) -> str:
    """Which event the fold raised on, and how."""
    event, error = failure
    return (
        f"the fold raised at event {event.position} ({event.event_type}, id {event.event_id})"
        f" of session {event.session_id}: {error}"
    )


def _progress(session: Session, stage: int, at: int) -> Effect:
    first_time = session.reached[stage] is None
    if first_time:
        session.reached[stage] = at
        if stage > session.furthest:
            session.furthest = stage
    if session.failed_at is not None:
        session.failed_at = None
        session.failure_step = session.failure_code = session.failure_reason = None
        return "recovered"
    return "advanced" if first_time else "confirmed"


def _fail(session: Session, event: Event) -> Effect:
    data = _data(event)
    session.failure_count += 1
    session.failure_step = _as_text(data.step)
    session.failure_code = _as_text(data.code)
    session.failure_reason = _as_text(data.reason)
    if session.furthest == LAST_STAGE:
        return "noted"
    session.failed_at = event.effective_at
    return "failed"


def _settle_infra(session: Session, event: Event) -> bool:
    """Settle `infra_status`; False when the event reports no progress."""
    data = _data(event)
    if event.event_type == INFRA_SYNCED:
        synced = data.success is not False
        session.infra_status = "synced" if synced else "failed"
        return synced
    outcome = _as_text(data.infra_status)
    if outcome is not None:
        session.infra_status = INFRA_OUTCOMES.get(outcome, "unknown")
    return True


def _data(event: Event) -> _Data:
    return (_read_facts(event.facts).data if event.facts else None) or _NO_DATA


def _as_text(value: Any) -> str | None:
    """Text as it is; other JSON as its canonical text, for failure codes may be numbers."""
    if value is None or isinstance(value, str):
        return value
    return canonical_json(value)
