"""The projector: append events and bring every read model up to date, in one transaction.

An event in order is folded into the stored state; a late one has its session refolded from the log. An event
the fold raises on is quarantined: it stays in the log and the session's row is the fold of all others.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from projections.envelope import Delivery
from projections.log import Receipt, append
from projections.onboarding import fold, quarantine, sessions, state, tickets
from projections.onboarding.events import Event, to_event
from projections.onboarding.fold import FoldFailure, Session, fold_tolerantly
from projections.onboarding.history import sessions_events
from projections.onboarding.read_models import READ_MODELS
from projections.onboarding.rows import Change

Histories = dict[str, list[Event]]


def project(connection: Connection, deliveries: Sequence[Delivery]) -> list[Receipt]:
    """Append the deliveries and project what is new, inside the caller's write transaction.

    Returns a receipt for each delivery, in order.
    """
    receipts, appended = append(connection, deliveries)
    if appended:
        now = max(delivery.received_at for delivery in deliveries)
        _project(connection, _by_session(map(to_event, appended)), now)
    return receipts


def refold(connection: Connection, session_ids: Sequence[str], now: int) -> list[FoldFailure]:
    """Fold the sessions anew from the log, retrying what was quarantined. Returns what still fails."""
    quarantine.release(connection, session_ids)
    before = sessions.load(connection, session_ids)
    found = sessions_events(connection, session_ids)
    folded, failures = _fold_each({session_id: found.get(session_id, []) for session_id in session_ids})
    _write(connection, before, folded, now)
    quarantine.record(connection, failures, now)
    return failures


def _project(connection: Connection, new: Histories, now: int) -> None:
    before = sessions.load(connection, list(new))
    folded, unfolded = [], []
    for session_id, events in new.items():
        session = _continued(before.get(session_id) or Session(session_id), events)
        if session is None:
            unfolded.append(session_id)
        else:
            folded.append(session)
    refolded, failures = _fold_each(_without_quarantined(connection, unfolded))
    _write(connection, before, folded + refolded, now)
    quarantine.record(connection, failures, now)


def _continued(stored: Session, events: Iterable[Event]) -> Session | None:
    """The stored state with the events folded in; None when the whole session must be folded anew.

    That is so when an event is late or raises. Equal instants are left to the refold's full sort, too.
    """
    session = stored.copy()
    try:
        for event in sorted(events):
            if stored.event_count and event.effective_at <= stored.last_event_at:
                return None
            fold.apply(session, event)
    except Exception:
        return None
    return session


def _without_quarantined(connection: Connection, session_ids: Sequence[str]) -> Histories:
    if not session_ids:
        return {}
    out = quarantine.positions(connection)
    return {
        session_id: [event for event in events if event.position not in out]
        for session_id, events in sessions_events(connection, session_ids).items()
    }


def _fold_each(histories: Histories) -> tuple[list[Session], list[FoldFailure]]:
    folded, failures = [], []
    for session_id, events in histories.items():
        session, failed = fold_tolerantly(session_id, events)
        folded.append(session)
        failures += failed
    return folded, failures


def _write(connection: Connection, before: dict[str, Session], folded: Iterable[Session], now: int) -> None:
    changes = [Change(before.get(session.session_id), session) for session in folded]
    sessions.write(connection, changes)
    for model in READ_MODELS:
        model.follow(connection, changes, model.table)
    tickets.follow(connection, changes, now)
    state.note_writing(connection)


def _by_session(created: Iterable[Event]) -> Histories:
    grouped: Histories = defaultdict(list)
    for event in created:
        grouped[event.session_id].append(event)
    return grouped
