"""A rebuild that was killed: the live rows are whole, and the next one ends as if nothing had happened."""

from itertools import count

import pytest

from projections.database.database import Database
from projections.rebuild import rebuild, scan
from projections.rebuild.rebuild import Progress
from tests.deliveries import delivery, session_rows, store
from tests.rebuilds import differences, no_progress

KINDS = (
    "onboarding.started",
    "onboarding.failed",
    "domain.validated",
    "account.created",
    "onboarding.completed",
)


class Killed(BaseException):
    """The process ends here."""


def killed_at(step: int) -> Progress:
    """Kill the rebuild when it tells its progress for the `step`-th time, counted from 0."""
    steps = count()

    def tell(_phase: str, _done: int, _total: int) -> None:
        if next(steps) == step:
            raise Killed

    return tell


def fill(database: Database, minute: int) -> None:
    """Events for old and new sessions, before and after those that are there."""
    names = [f"{prefix}{number}" for number in range(8) for prefix in ("a", "m", f"new{minute}-")]
    store(
        database, *(delivery(KINDS[(index + minute) % 5], name, minute) for index, name in enumerate(names))
    )


@pytest.mark.parametrize("step", range(7))
def test_the_next_rebuild_ends_what_a_killed_one_began(
    database: Database, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(scan, "RANGE_EVENTS", 10)
    monkeypatch.setattr(rebuild, "CUTOVER_SESSIONS", 5)
    fill(database, 0)
    fill(database, 5)
    with pytest.raises(Killed):
        rebuild.rebuild(database, killed_at(step))
    assert differences(database) == []
    fill(database, 2)
    before = session_rows(database)
    with pytest.raises(Killed):
        rebuild.rebuild(database, killed_at(0))
    fill(database, 9)
    rebuild.rebuild(database, no_progress)
    assert len(session_rows(database)) > len(before)
    assert differences(database) == []


def test_it_goes_on_where_it_stopped(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "RANGE_EVENTS", 10)
    fill(database, 0)
    with pytest.raises(Killed):
        rebuild.rebuild(database, killed_at(1))
    phases: list[tuple[str, int]] = []
    summary = rebuild.rebuild(database, lambda phase, done, _total: phases.append((phase, done)))
    assert summary.resumed
    assert (summary.sessions, summary.events) == (24, 24)
    assert min(done for phase, done in phases if phase == "replay") > 20


def test_a_shadow_of_other_logic_is_not_gone_on_with(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "RANGE_EVENTS", 10)
    fill(database, 0)
    with monkeypatch.context() as older:
        older.setattr(rebuild, "fingerprint", lambda: "older")
        with pytest.raises(Killed):
            rebuild.rebuild(database, killed_at(1))
    assert not rebuild.rebuild(database, no_progress).resumed
    assert differences(database) == []
