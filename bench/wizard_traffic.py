"""Made-up wizard runs, the same on every machine: what a portal would send over some months."""

import heapq
import random
from collections.abc import Iterator
from itertools import count
from typing import Any, Final, NamedTuple

from portal_hooks.contract import (
    ACCOUNT_CREATED,
    COMPLETED,
    DNS_APPLIED,
    DOMAIN_VALIDATED,
    FAILED,
    INFRA_SYNCED,
    STARTED,
)
from portal_hooks.instants import SECOND, format_instant

WHOLE: Final = (STARTED, DOMAIN_VALIDATED, DNS_APPLIED, ACCOUNT_CREATED, INFRA_SYNCED, COMPLETED)
RECOVERED: Final = (*WHOLE[:3], FAILED, FAILED, *WHOLE[3:])

# Journeys and how many of a hundred sessions take them; 5.88 events a session on the average.
_JOURNEYS: Final[dict[tuple[str, ...], int]] = {
    WHOLE: 62,
    RECOVERED: 18,
    (*WHOLE[:3], DNS_APPLIED, FAILED): 10,
    WHOLE[:3]: 6,
    WHOLE[:1]: 4,
}

_DATA: Final[dict[str, dict[str, Any]]] = {
    STARTED: {},
    DOMAIN_VALIDATED: {"mx": ["mx1.customer.example", "mx2.customer.example"]},
    DNS_APPLIED: {"applied": ["MX", "SPF", "DKIM", "DMARC"], "provider": "cloudflare"},
    ACCOUNT_CREATED: {"account": "info", "email": "info@customer.example"},
    INFRA_SYNCED: {"success": True},
    COMPLETED: {"infra_status": "synced"},
    FAILED: {"step": "account", "code": "carbonio_error", "reason": "the mail server did not answer"},
}


class Moment(NamedTuple):
    """One event of one run. Sorts by time."""

    at: int
    session_id: str
    step: int
    event_type: str
    domain: str

    def envelope(self) -> dict[str, Any]:
        """The event as a portal writes it."""
        return {
            "event_id": f"{self.session_id}-{self.step}",
            "event_type": self.event_type,
            "session_id": self.session_id,
            "occurred_at": format_instant(self.at),
            "domain": self.domain,
            "data": _DATA[self.event_type],
        }


def moments(start: int, session_gap: int, seed: int = 4) -> Iterator[Moment]:
    """Events without end, in order of time: a run begins every `session_gap` microseconds, and each takes
    its next step within ten minutes."""
    chance = random.Random(seed)
    journeys, weights = list(_JOURNEYS), list(_JOURNEYS.values())
    pending: list[Moment] = []
    for number in count():
        at = start + number * session_gap
        while pending and pending[0].at <= at:
            yield heapq.heappop(pending)
        session_id = f"{chance.getrandbits(128):032x}"
        [journey] = chance.choices(journeys, weights)
        for step, event_type in enumerate(journey):
            heapq.heappush(pending, Moment(at, session_id, step, event_type, f"customer-{number}.example"))
            at += chance.randrange(5 * SECOND, 600 * SECOND)
