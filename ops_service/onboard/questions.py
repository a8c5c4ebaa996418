"""What may be asked of the funnel and the session lists, read once for the JSON answers and the CSV files."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import Depends, Query, Request
from sqlalchemy import Connection

from ops_service.onboard import answers, funnel, past, queries
from ops_service.onboard.queries import Filters, Place, SessionRow
from ops_service.onboard.windows import MAX_HOURS, Instant, Since, Until, Window, window
from ops_service.problems import Problem
from portal_hooks.contract import FieldError, normalise_domain
from portal_hooks.instants import HOUR, MINUTE, now_instant
from projections import log
from projections.onboarding import Session

Stage = Literal["started", "domain_validated", "dns_applied", "account_created", "infra_synced", "completed"]
CurrentStage = Literal[Stage, "failed"]
State = Literal["active", "stalled", "failed", "completed"]
States = Annotated[list[State] | None, Query(description="Any of these; repeat it for several.")]
Text = Annotated[str | None, Query(max_length=253, pattern=r"^[^\x00]*$")]
FailureCode = Annotated[
    str | None,
    Query(
        max_length=4000, pattern=r"^[^\x00]*$", description="Open failures of this code; empty: of no code."
    ),
]

KnownAt = Annotated[Instant | None, Query(description="As it was known at this instant; needs `since`.")]
Order = Annotated[Literal["desc", "asc"], Query(description="By last activity; `desc`: newest first.")]


class FunnelQuestion(NamedTuple):
    """Which funnel; instants in microseconds."""

    window: Window
    as_of: int | None
    now: int
    stalled_before: int


def funnel_question(
    request: Request,
    hours: Annotated[float | None, Query(gt=0, le=MAX_HOURS)] = None,
    since: Since = None,
    until: Until = None,
    as_of: Annotated[Instant | None, Query(description="The funnel as it was known at this instant.")] = None,
) -> FunnelQuestion:
    """The window asked for and the moment it is seen from. Raises Problem 422."""
    now = as_of if as_of is not None else now_instant()
    return FunnelQuestion(window(hours, since, until, now), as_of, now, now - stalled_after(request))


def funnel_of(connection: Connection, asked: FunnelQuestion) -> dict[str, Any]:
    """The answer for `FunnelBody`, but for the time it was made."""
    found = _funnel_now(connection, asked) if asked.as_of is None else _funnel_then(connection, asked)
    since, until = asked.window.since, asked.window.until if asked.window.until is not None else asked.now
    return {
        "window": {"since": since, "until": until, "hours": round((until - since) / HOUR, 3)},
        "as_of": asked.as_of,
        **found,
    }


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
            total = queries.count_sessions(connection, self.filters, self.stalled_before)
            return total, self.page(connection, after, limit)
        total, rows = self._then(connection, self.as_of, after)
        return total, rows[:limit]

    def page(self, connection: Connection, after: tuple[int, str] | None, limit: int) -> list[SessionRow]:
        """The same without the count."""
        if self.as_of is not None:
            return self._then(connection, self.as_of, after)[1][:limit]
        place = Place(after, self.newest_first)
        return queries.list_sessions(connection, self.filters, self.stalled_before, place, limit)

    def _then(
        self, connection: Connection, as_of: int, after: tuple[int, str] | None
    ) -> tuple[int, list[SessionRow]]:
        place = Place(after, self.newest_first)
        return past.list_sessions(connection, self.filters, self.stalled_before, as_of, place)


def sessions_question(
    request: Request,
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
    now = as_of if as_of is not None else now_instant()
    return SessionsQuestion(filters, order == "desc", as_of, now - stalled_after(request))


AskedFunnel = Annotated[FunnelQuestion, Depends(funnel_question)]
AskedSessions = Annotated[SessionsQuestion, Depends(sessions_question)]


def stalled_after(request: Request) -> int:
    """Microseconds of idleness after which an open session is stalled."""
    minutes: int = request.app.state.settings.stalled_after_minutes
    return minutes * MINUTE


def _funnel_now(connection: Connection, asked: FunnelQuestion) -> dict[str, Any]:
    counted = funnel.count(queries.funnel_rows(connection, asked.window), asked.stalled_before)
    filters = Filters(states=("active", "stalled"), since=asked.window.since, until=asked.window.until)
    active = queries.list_sessions(connection, filters, asked.stalled_before, Place(), queries.ACTIVE_SHOWN)
    codes = queries.failure_codes(connection, asked.window)
    return _answer(asked, counted, log.head(connection), codes, active)


def _funnel_then(connection: Connection, asked: FunnelQuestion) -> dict[str, Any]:
    known = [
        session
        for session in past.sessions_as_of(connection, asked.window, asked.now)
        if session.current_stage is not None
    ]
    counted = funnel.count(map(_funnel_row, known), asked.stalled_before)
    active = [SessionRow(session, None, False) for session in funnel.newest_open(known, queries.ACTIVE_SHOWN)]
    position = past.position_as_of(connection, asked.now)
    return _answer(asked, counted, position, funnel.open_failures(known), active)


def _answer(
    asked: FunnelQuestion,
    counted: funnel.Funnel,
    position: int,
    codes: dict[str | None, int],
    active: Iterable[SessionRow],
) -> dict[str, Any]:
    return {
        **counted._asdict(),
        "position": position,
        "failures": funnel.failures(codes),
        "active_sessions": [answers.session_body(row, asked.stalled_before) for row in active],
    }


def _funnel_row(session: Session) -> funnel.FunnelRow:
    return funnel.FunnelRow(
        session.last_event_at, session.current_stage or "", session.furthest_stage, tuple(session.reached)
    )
