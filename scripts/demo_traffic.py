"""Three made-up days of a portal and of the operators who help: the same on every machine, but for the clock.

Each day has ten working hours; the last one ends at `now`. Pure: nothing is sent from here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from operator import attrgetter
from typing import Any, Final, NamedTuple

from portal_hooks import contract
from portal_hooks.instants import DAY, HOUR, MINUTE, SECOND, format_instant

DAYS: Final = 3
SESSIONS_A_DAY: Final = 70
LATELY: Final = 12
"""Sessions of the last quarter of an hour, some of them still on their way."""

PORTAL: Final = "vm112-portal"
FAST_PORTAL: Final = "vm113-portal"
"""Its clock ran ahead until somebody set it right, a day ago."""
AHEAD: Final = 9 * MINUTE

# Ops was down for a while on the second day; the portals kept what happened and sent it afterwards.
OUTAGE_AGO: Final = 28 * HOUR + 50 * MINUTE
OUTAGE: Final = 40 * MINUTE

OPERATORS: Final = ("Ana Ribeiro", "Rui Teixeira", "Marta Lopes")
_NAMES: Final = (
    "padaria-central quintadovale clinica-sao-joao oficina24 vinhosdouro escola-azul atelier-norte"
    " talho-moderno livraria-lello-filhos casa-das-tintas hotel-ribeira 3-irmaos"
).split()

# Journeys, and how many of a hundred sessions or so take them. `!code` is a failure, `?type` an event of a
# type that Ops does not know, `~` a customer who thinks about it.
_JOURNEYS: Final[dict[str, int]] = {
    "started validated dns account synced completed": 50,
    "started validated dns account synced completed ~ ?mailbox.migrated": 8,
    "started validated validated validated validated dns account synced completed": 6,
    "started validated ?dns.checked ?dns.checked ?dns.checked ?dns.checked ~ dns account synced completed": 4,
    "started validated !dns_timeout ~ dns account synced completed": 7,
    "started validated dns !carbonio_error !carbonio_error ~ account synced completed": 5,
    "started validated dns account warned": 3,
    "started": 4,
    "started validated": 5,
    "started validated dns": 3,
    "started validated dns account": 3,
    "started !domain_not_delegated": 3,
    "started validated !dns_timeout": 3,
    "started validated !zone_missing": 2,
    "started validated dns !carbonio_error": 3,
    "started validated dns account !quota_exceeded": 2,
}
_TYPES: Final = {
    "started": contract.STARTED,
    "validated": contract.DOMAIN_VALIDATED,
    "dns": contract.DNS_APPLIED,
    "account": contract.ACCOUNT_CREATED,
    "synced": contract.INFRA_SYNCED,
    "completed": contract.COMPLETED,
    "warned": contract.COMPLETED,
}
_FAILURES: Final = {
    "domain_not_delegated": ("domain", "The domain has no name servers: it is not delegated."),
    "dns_timeout": ("dns", "Cloudflare did not answer within 30 seconds."),
    "zone_missing": ("dns", "The zone is not in this Cloudflare account."),
    "carbonio_error": ("account", "Carbonio: account.ACCOUNT_EXISTS"),
    "quota_exceeded": ("infra", "No store volume has room for another mailbox."),
}
_NOTES: Final = {
    "domain_not_delegated": "Rang the customer: the registrar has not released the domain yet.",
    "dns_timeout": "Cloudflare had an incident. Asked the customer to try again.",
    "zone_missing": "The zone belongs to the customer's old agency; wrote to them for the transfer.",
    "carbonio_error": "An old mailbox of that name was still there. Renamed it, they can go on.",
    "quota_exceeded": "Volume 3 is full. Asked for another one, expected tomorrow.",
}
_WELCOMED: Final = "Welcome call made, all devices receive mail."


class Arrival(NamedTuple):
    """An event as it reaches Ops."""

    at: int
    source: str
    envelope: dict[str, Any]
    is_unreadable: bool = False
    """The projection logic of that day, since mended, could not read it."""


class Act(NamedTuple):
    """What an operator does to a session's ticket: changes, and perhaps a note."""

    at: int
    session_id: str
    author: str
    changes: dict[str, Any]
    note: str | None


def three_days(now: int, seed: int = 7) -> Iterator[Arrival | Act]:
    """Everything that happened until `now`, in the order in which Ops learned of it."""
    yield from _Days(now, random.Random(seed)).happened()


class _Days:
    def __init__(self, now: int, chance: random.Random) -> None:
        self._now = now
        self._chance = chance
        self._happened: list[Arrival | Act] = []
        for ago in sorted(self._beginnings(), reverse=True):
            self._session(now - ago)
        self._refused_ones()
        self._unreadable_one()

    def happened(self) -> Iterator[Arrival | Act]:
        """All of it in order."""
        # Sorting keeps the order of what happened at one instant.
        yield from sorted((one for one in self._happened if one.at <= self._now), key=attrgetter("at"))

    def _beginnings(self) -> Iterator[int]:
        """How long ago each session began."""
        for day in range(DAYS):
            for _ in range(SESSIONS_A_DAY):
                yield day * DAY + self._chance.randrange(MINUTE, 10 * HOUR)
        for _ in range(LATELY):
            yield self._chance.randrange(MINUTE, 15 * MINUTE)

    def _session(self, at: int) -> None:
        session_id = f"{self._chance.getrandbits(64):016x}"
        domain = f"{self._chance.choice(_NAMES)}-{self._chance.randrange(10, 100)}.pt"
        source = FAST_PORTAL if self._chance.random() < 0.12 else PORTAL
        [journey] = self._chance.choices(list(_JOURNEYS), list(_JOURNEYS.values()))
        for step in journey.split():
            if step == "~":
                at += self._chance.randrange(4 * MINUTE, 100 * MINUTE)
                continue
            came = self._send(at, source, self._envelope(at, source, session_id, domain, step))
            self._help(came, session_id, step)
            at += int(self._chance.lognormvariate(3.8, 1.1) * SECOND)

    def _envelope(self, at: int, source: str, session_id: str, domain: str, step: str) -> dict[str, Any]:
        ahead = AHEAD if source == FAST_PORTAL and at < self._now - DAY else 0
        event_type, data = self._meaning(step, domain)
        known = {} if event_type == contract.STARTED else {"domain": domain}
        return {
            "event_id": f"{self._chance.getrandbits(96):024x}",
            "event_type": event_type,
            "session_id": session_id,
            "occurred_at": format_instant(at + ahead),
            **known,
            "data": data,
        }

    def _meaning(self, step: str, domain: str) -> tuple[str, dict[str, Any]]:
        """The event type and its data."""
        if step.startswith("?"):
            return step[1:], {
                "attempt": self._chance.randrange(1, 9),
                "seconds": self._chance.randrange(2, 60),
            }
        if step.startswith("!"):
            where, reason = _FAILURES[step[1:]]
            return contract.FAILED, {"step": where, "code": step[1:], "reason": reason}
        data: dict[str, dict[str, Any]] = {
            "validated": {"mx": [f"mx1.{domain}", f"mx2.{domain}"]},
            "dns": {"applied": ["MX", "SPF", "DKIM", "DMARC"], "provider": "cloudflare"},
            "account": {"account": "geral", "email": f"geral@{domain}"},
            "synced": {"success": True},
            "completed": {"infra_status": "synced"},
            "warned": {"infra_status": "warning"},
        }
        return _TYPES[step], data.get(step, {})

    def _send(self, at: int, source: str, envelope: dict[str, Any]) -> int:
        """Returns when it came."""
        at += self._chance.randrange(SECOND // 20, 2 * SECOND)
        outage = self._now - OUTAGE_AGO
        if outage <= at < outage + OUTAGE:
            at = outage + OUTAGE + self._chance.randrange(30 * SECOND)
        self._arrive(at, source, envelope)
        if self._chance.random() < 0.04:  # the answer was lost on its way, so the portal tried again
            self._arrive(at + self._chance.randrange(5 * SECOND, 30 * SECOND), source, envelope)
        return at

    def _arrive(self, at: int, source: str, envelope: dict[str, Any]) -> None:
        self._happened.append(Arrival(at, source, envelope))

    def _help(self, at: int, session_id: str, step: str) -> None:
        """What an operator makes of a failure, or of a finished onboarding."""
        who = self._chance.choice(OPERATORS)
        at += self._chance.randrange(3 * MINUTE, 25 * MINUTE)
        if step.startswith("!") and self._chance.random() < 0.65:
            code = step[1:]
            self._act(at, session_id, who, changes={"status": "in_progress", "assignee": who})
            self._act(
                at + 2 * MINUTE, session_id, who, note=_NOTES[code], changes={"tags": [_FAILURES[code][0]]}
            )
            if self._chance.random() < 0.4:
                self._act(at + HOUR, session_id, who, changes={"status": "resolved"})
        elif step == "completed" and self._chance.random() < 0.5:
            self._act(at, session_id, who, note=_WELCOMED, changes={"status": "closed", "assignee": who})

    def _act(
        self, at: int, session_id: str, author: str, *, changes: dict[str, Any], note: str | None = None
    ) -> None:
        self._happened.append(Act(at, session_id, author, changes, note))

    def _refused_ones(self) -> None:
        """A portal that sent other content under a known id, and one that wrote a time without its zone."""
        arrivals = [one for one in self._happened if isinstance(one, Arrival)]
        first, other = arrivals[0], arrivals[-1]
        changed = {**first.envelope, "data": {"rewritten": True}}
        self._arrive(self._now - 5 * HOUR, first.source, changed)
        naive = other.envelope["occurred_at"].removesuffix("Z")
        unsent = {**other.envelope, "event_id": "without-a-zone", "occurred_at": naive}
        self._arrive(self._now - 3 * HOUR, other.source, unsent)

    def _unreadable_one(self) -> None:
        """The newest event of a type that Ops does not know, but not of the last hours."""
        migrated = [
            one
            for one in self._happened
            if isinstance(one, Arrival)
            and one.envelope["event_type"] == "mailbox.migrated"
            and one.at < self._now - 2 * HOUR
        ]
        at = self._happened.index(migrated[-1])
        self._happened[at] = migrated[-1]._replace(is_unreadable=True)
