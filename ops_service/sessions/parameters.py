"""What may be asked of the session lists, read once for the JSON answers and the CSV files."""

from typing import Annotated, Literal, NamedTuple

from fastapi import Depends, Query, Request
from sqlalchemy import Connection

from ops_service.http.parameters import WITHOUT_NUL, Instant, Now, Since, Text, Until
from ops_service.http.problems import Problem
from ops_service.http.windows import require_order
from ops_service.sessions import past, reading
from ops_service.sessions.reading import Filters, Place, SessionRow
from portal_hooks.contract import FieldError, normalise_domain
from portal_hooks.instants import MINUTE

Stage = Literal["started", "domain_validated", "dns_applied", "account_created", "infra_synced", "completed"]
CurrentStage = Literal[Stage, "failed"]
State = Literal["active", "stalled", "failed", "completed"]
States = Annotated[list[State] | None, Query(description="Any of these; repeat it for several.")]
FailureCode = Annotated[
    str | None,
    Query(max_length=4000, pattern=WITHOUT_NUL, description="Open failures of this code; empty: of no code."),
]

KnownAt = Annotated[Instant | None, Query(description="As it was known at this instant; needs `since`.")]
Order = Annotated[Literal["desc", "asc"], Query(description="By last activity; `desc`: newest first.")]


def stalled_after_of(request: Request) -> int:
    """Microseconds of idleness after which an open session is stalled."""
    minutes: int = request.app.state.settings.stalled_after_minutes
    return minutes * MINUTE


StalledAfter = Annotated[int, Depends(stalled_after_of)]


class SessionsQuestion(NamedTuple):
    """Which sessions, in which order, seen from when."""

    filters: Filters
    newest_first: bool
    as_of: int | None
    stalled_before: int

    def find(
        self, connection: Connection, after: tuple[int, str] | None, limit: int
    ) -> tuple[int, list[SessionRow]]:
        """How many there are in all, and those after the given (last_event_at, session_id)."""
        if self.as_of is None:
            return self.total_now(connection), self.page(connection, after, limit)
        total, rows = self._then(connection, self.as_of, after)
        return total, rows[:limit]

    def total_now(self, connection: Connection) -> int:
        """How many match the rows as they are; what was known at `as_of` is counted by `find`."""
        return reading.count_sessions(connection, self.filters, self.stalled_before)

    def page(self, connection: Connection, after: tuple[int, str] | None, limit: int) -> list[SessionRow]:
        """The same without the count."""
        if self.as_of is not None:
            return self._then(connection, self.as_of, after)[1][:limit]
        place = Place(after, self.newest_first)
        return reading.list_sessions(connection, self.filters, self.stalled_before, place, limit)

    def _then(
        self, connection: Connection, as_of: int, after: tuple[int, str] | None
    ) -> tuple[int, list[SessionRow]]:
        place = Place(after, self.newest_first)
        return past.list_sessions(connection, self.filters, self.stalled_before, as_of, place)


def sessions_question(
    now: Now,
    stalled_after: StalledAfter,
    stage: CurrentStage | None = None,
    state: States = None,
    furthest: Annotated[Stage | None, Query(description="The furthest stage is this one.")] = None,
    reached: Annotated[
        Stage | None, Query(description="The furthest stage is this one or a later one.")
    ] = None,
    failure_code: FailureCode = None,
    domain: Text = None,
    q: Annotated[Text, Query(description="Part of a session id or domain.")] = None,
    since: Since = None,
    until: Until = None,
    began_since: Annotated[Since, Query(description="First event from this instant on.")] = None,
    began_until: Annotated[Until, Query(description="First event before this instant.")] = None,
    as_of: KnownAt = None,
    order: Order = "desc",
) -> SessionsQuestion:
    """The filters asked for. Raises Problem 422."""
    if as_of is not None and since is None:
        raise Problem.wrong(FieldError("/query/since", "is needed with as_of"))
    require_order(since, until)
    known_as = (normalise_domain(domain) or domain) if domain else None
    filters = Filters(
        stage,
        state or (),
        furthest,
        reached,
        failure_code,
        known_as,
        q,
        since,
        until,
        began_since,
        began_until,
    )
    seen_at = now if as_of is None else as_of
    return SessionsQuestion(filters, order == "desc", as_of, seen_at - stalled_after)


AskedSessions = Annotated[SessionsQuestion, Depends(sessions_question)]
