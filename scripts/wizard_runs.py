"""Simulated wizard runs, and what a correct service makes of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from portal_hooks import contract

Moment = tuple[str, dict[str, Any]]

STARTED: Final[Moment] = (contract.STARTED, {})
VALIDATED: Final[Moment] = (contract.DOMAIN_VALIDATED, {"mx": ["mx1.verify.example"]})
DNS: Final[Moment] = (contract.DNS_APPLIED, {"applied": ["MX", "SPF"], "provider": "cloudflare"})
ACCOUNT: Final[Moment] = (contract.ACCOUNT_CREATED, {"account": "info", "email": "info@verify.example"})
SYNCED: Final[Moment] = (contract.INFRA_SYNCED, {"success": True})
COMPLETED: Final[Moment] = (contract.COMPLETED, {"infra_status": "synced"})
WHOLE: Final = (STARTED, VALIDATED, DNS, ACCOUNT, SYNCED, COMPLETED)


def failed(step: str, code: str) -> Moment:
    """The wizard stopped at `step`."""
    return contract.FAILED, {"step": step, "code": code, "reason": f"simulated: {code}"}


@dataclass(frozen=True)
class Run:
    """One session: its moments as they occurred, how they arrive, and what must come of them."""

    name: str
    moments: tuple[Moment, ...]
    effects: str
    """What each moment did, in order of occurrence, separated by spaces."""
    stage: str
    furthest: str
    arrival: tuple[int, ...] | None = None
    """Indexes into `moments` in order of arrival, repeated ones included; None: in order, each once."""
    infra_status: str | None = None
    failure_code: str | None = None
    ticket: Literal["none", "open", "ready"] = "none"

    @property
    def arrivals(self) -> tuple[int, ...]:
        return tuple(range(len(self.moments))) if self.arrival is None else self.arrival


def _complete(name: str, arrival: tuple[int, ...] | None = None) -> Run:
    return Run(
        name,
        WHOLE,
        "advanced advanced advanced advanced advanced advanced",
        stage="completed",
        furthest="completed",
        arrival=arrival,
        infra_status="synced",
        ticket="ready",
    )


RUNS: Final = (
    _complete("in-order"),
    _complete("duplicated", (0, 0, 1, 2, 1, 3, 4, 5, 5, 0)),
    _complete("out-of-order", (5, 2, 0, 4, 1, 3)),
    Run(
        "recovered",
        (STARTED, VALIDATED, failed("dns", "dns_timeout"), DNS, ACCOUNT),
        "advanced advanced failed recovered advanced",
        stage="account_created",
        furthest="account_created",
        ticket="open",
    ),
    Run(
        "recovered-out-of-order",
        (STARTED, VALIDATED, failed("account", "carbonio_error"), DNS, ACCOUNT, COMPLETED),
        "advanced advanced failed recovered advanced advanced",
        stage="completed",
        furthest="completed",
        arrival=(5, 2, 3, 4, 1, 0),
        infra_status="synced",
        ticket="ready",
    ),
    Run(
        "failed",
        (STARTED, VALIDATED, failed("account", "carbonio_error")),
        "advanced advanced failed",
        stage="failed",
        furthest="domain_validated",
        failure_code="carbonio_error",
        ticket="open",
    ),
    Run(
        "unknown-type",
        (STARTED, ("mailbox.migrated", {"messages": 1200})),
        "advanced noted",
        stage="started",
        furthest="started",
    ),
)
