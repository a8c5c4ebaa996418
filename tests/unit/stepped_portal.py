"""A portal's spool and its delivery over real HTTP, stepped by hand: time passes only here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from portal_hooks.delivery.breaker import EndpointState, Pace
from portal_hooks.delivery.client import Client
from portal_hooks.delivery.sender import Sender
from portal_hooks.event_encoding import encode_event
from portal_hooks.signing import parse_secret
from portal_hooks.spool.dead_letters import DeadLetters
from portal_hooks.spool.writer import Spool
from tests.servers.webhook_receiver import SECRET, Answer, Event

START: Final = 1_780_920_000.0
HOUR: Final = 3600.0


class SteppedPortal:
    """The events go to `url`; its own settings count from the next `restart` on."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.now = START
        self.pace = Pace()
        self.age_limit = 30 * HOUR
        self.key = parse_secret(SECRET)
        self.spool = Spool(folder, clock=lambda: self.now)
        self.delivery = self._begin()

    def restart(self) -> None:
        """Another process goes on."""
        self.delivery.close()
        self.spool.close()
        self.delivery = self._begin()

    def emit(self, session_id: str, count: int = 1, **data: Any) -> list[str]:
        """Events a millisecond apart; their ids."""
        ids = []
        for _ in range(count):
            self.now += 0.001
            event = encode_event("a.b", session_id, data=data)
            self.spool.append(event.event_id, event.session_id, event.body)
            ids.append(event.event_id)
        self.now += 0.001
        return ids

    def run(self, seconds: float) -> None:
        """Let that much time pass, with every step when it is due."""
        end = self.now + seconds
        while True:
            wait = self.delivery.step()
            if wait is None or self.now + wait > end:
                break
            self.now += wait
        self.now = end

    def drain(self) -> None:
        """Step until nothing is to be done at this instant."""
        while self.delivery.step() == 0:
            pass

    @property
    def state(self) -> EndpointState:
        return self.delivery.state

    def dead(self) -> dict[str, str]:
        return {letter.event_id: letter.reason for letter in DeadLetters(self.folder)}

    def _begin(self) -> Sender:
        client = Client(f"{self.url}/batch", self.key, clock=self.clock)
        return Sender(self.folder, client, pace=self.pace, age_limit=self.age_limit, clock=self.clock)

    def clock(self) -> float:
        return self.now


def ids_of(events: list[Event]) -> list[str]:
    """The events' ids, in order."""
    return [event["event_id"] for event in events]


def stumble(bad: Callable[[Event], bool], status: int = 500) -> Callable[[list[Event]], Answer | None]:
    """A receiver that fails as a whole as soon as one event of a request is bad."""
    return lambda events: Answer(status) if any(map(bad, events)) else None
