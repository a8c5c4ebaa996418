"""Is every row what the log says? Refold and compare; then let SQL, which knows no fold, judge too."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select

from portal_hooks.instants import now_instant
from projections.database.bulk import driver_rows
from projections.database.database import Database
from projections.database.tables import onboard_sessions
from projections.log import SessionRange, head
from projections.onboarding import quarantine, rows, sessions, sql_oracle, state, tickets
from projections.onboarding.events import Event
from projections.onboarding.fold import describe, fold_tolerantly
from projections.onboarding.history import histories, sessions_events
from projections.onboarding.read_models import READ_MODELS
from projections.onboarding.rows import Row
from projections.rebuild.rebuild import Progress
from projections.rebuild.scan import replay

MISSING: Final = "no row"
FOLD: Final = "fold"
"""The field of a difference that is an event the fold raises on."""

_TOGETHER: Final = 1_000
"""Sessions of a sample that are read at one time."""

Histories = Sequence[tuple[str, Sequence[Event]]]


class Difference(NamedTuple):
    """A field whose stored value is not what the log gives; `subject` is a session, or a row of a table."""

    subject: str
    field: str
    stored: Any
    expected: Any


@dataclass(slots=True)
class StageCounts:
    """Sessions by current stage, as they are stored and as the log gives them."""

    stored: Counter[str | None] = field(default_factory=Counter)
    expected: Counter[str | None] = field(default_factory=Counter)


class _Compared(NamedTuple):
    """A range of sessions, compared."""

    differences: list[Difference]
    counts: StageCounts
    events: int


def verify(database: Database, progress: Progress) -> Iterator[Difference]:
    """Compare everything, field by field; changes nothing."""
    yield from session_differences(database, progress)
    with database.read() as connection:
        total = head(connection)
        progress("tables", total, total)
        for model in READ_MODELS:
            yield from _model_differences(connection, model.table, model.totals(onboard_sessions))
        for session_id, ready in tickets.out_of_step(connection).items():
            yield Difference(session_id, "ticket", None, "ready_for_ops" if ready else "open")
        progress("SQL", total, total)
        for mismatch in sql_oracle.mismatches(connection):
            yield Difference(*mismatch)


def note_outcome(database: Database, differences: int) -> None:
    """Have /readyz and the metrics tell how many the last `verify` found. Raises DatabaseUnavailable."""
    with database.write() as connection:
        state.record(connection, verified_at=now_instant(), verified_differences=differences)


def verify_sample(database: Database, size: int) -> Iterator[Difference]:
    """Compare `size` sessions, taken by chance."""
    column = onboard_sessions.c.session_id
    with database.read() as connection:
        chosen = connection.execute(select(column).order_by(func.random()).limit(size)).scalars().all()
    for start in range(0, len(chosen), _TOGETHER):
        some = chosen[start : start + _TOGETHER]
        with database.read() as connection:
            found = sorted(sessions_events(connection, some).items())
            stored = {key: rows.to_row(found) for key, found in sessions.load(connection, some).items()}
            out = quarantine.positions(connection)
        yield from _compare(found, stored, out, StageCounts())


def session_differences(
    database: Database, progress: Progress, counts: StageCounts | None = None
) -> Iterator[Difference]:
    """Compare every session's row with its fold, range by range; `counts` is added to, if given."""
    with database.read() as connection:
        total = head(connection)
    done = 0
    with closing(replay(database, _compare_range)) as parts:
        for part in parts:
            if counts is not None:
                counts.stored.update(part.counts.stored)
                counts.expected.update(part.counts.expected)
            yield from part.differences
            done += part.events
            progress("verify", done, max(total, done))


_CURRENT_STAGE: Final = rows.COLUMNS.index("current_stage")


def _compare_range(connection: Connection, of: SessionRange) -> _Compared:
    found = histories(connection, of)
    stored = _stored_in(connection, of)
    counts = StageCounts(stored=Counter(row[_CURRENT_STAGE] for row in stored.values()))
    differences = list(_compare(found, stored, quarantine.positions(connection), counts))
    return _Compared(differences, counts, sum(len(events) for _, events in found))


def _compare(
    found: Histories, stored: dict[str, Row], quarantined: set[int], counts: StageCounts
) -> Iterator[Difference]:
    """Differences of the sessions `found`; `stored` must hold no others, or they are told as surplus."""
    for session_id, history in found:
        row = stored.pop(session_id, None)
        if quarantined:
            history = [event for event in history if event.position not in quarantined]
        folded, failures = fold_tolerantly(session_id, history)
        for failure in failures:
            yield Difference(session_id, FOLD, None, describe(failure))
        expected = rows.to_row(folded) if folded.event_count else None
        if expected is not None:
            counts.expected[expected[_CURRENT_STAGE]] += 1
        yield from _row_differences(session_id, rows.COLUMNS, row, expected)
    for session_id, row in stored.items():
        yield from _row_differences(session_id, rows.COLUMNS, row, None)


def _row_differences(
    subject: str, columns: Sequence[str], row: Row | None, expected: Row | None
) -> Iterator[Difference]:
    if row is None or expected is None:
        if row is not expected:
            yield Difference(
                subject, "row", MISSING if row is None else "a row", "a row" if row is None else MISSING
            )
        return
    if row != expected:
        for name, was, should in zip(columns, row, expected, strict=True):
            if was != should:
                yield Difference(subject, name, was, should)


def _model_differences(connection: Connection, table: Any, totals: Any) -> Iterator[Difference]:
    columns = [column.name for column in table.columns]
    stored = _keyed(connection.execute(select(table)).mappings(), columns)
    expected = _keyed(connection.execute(totals).mappings(), columns)
    for key in sorted(stored.keys() | expected.keys()):
        yield from _row_differences(f"{table.name} {key}", columns, stored.get(key), expected.get(key))


def _keyed(rows: Any, columns: Sequence[str]) -> Mapping[Any, Row]:
    return {row[columns[0]]: tuple(row[name] for name in columns) for row in rows}


def _stored_in(connection: Connection, of: SessionRange) -> dict[str, Row]:
    query = select(onboard_sessions).where(onboard_sessions.c.session_id > of.after)
    if of.last is not None:
        query = query.where(onboard_sessions.c.session_id <= of.last)
    return {row[0]: row for row in driver_rows(connection, query)}
