"""A log worth rebuilding from, and what verify finds in it."""

from projections.database.database import Database
from projections.rebuild.verify import verify
from tests.deliveries import delivery, store

KINDS = (
    "onboarding.started",
    "domain.validated",
    "onboarding.failed",
    "account.created",
    "onboarding.completed",
)
"""What happens in a session, minute by minute; how far each gets depends on its number."""


def fill(database: Database, sessions: int = 30) -> None:
    """Sessions s0, s1, … in one transaction: every fifth completes."""
    store(
        database,
        *(
            delivery(kind, f"s{number}", minute)
            for number in range(sessions)
            for minute, kind in enumerate(KINDS[: number % 5 + 1])
        ),
    )


def differences(database: Database) -> list[tuple[str, str]]:
    """Subject and field of everything that is not what the log says."""
    return [(each.subject, each.field) for each in verify(database, no_progress)]


def no_progress(_phase: str, _done: int, _total: int) -> None:
    """Tell nobody."""
