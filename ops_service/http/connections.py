"""The connections of one process: how many there may be, and the end of those whose peer does not read."""

import asyncio
import resource
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from ops_service.http.networks import caller_address, is_within
from ops_service.settings import Network

MOST: Final = 4_000
"""Whatever the system allows: each may hold some hundred KB."""

FILES_BESIDE: Final = 128
"""Open files that are no client's connection: the database, the log, the desk's files."""

UNREAD_SECONDS: Final = 20
"""An answer of which the peer has read nothing for so long is given up."""

SWEEP_SECONDS: Final = 5

_SENDERS_KNOWN: Final = 1_000


class Limits(NamedTuple):
    """How many connections there may be in all and of one address."""

    in_all: int
    of_one: int

    @property
    def for_strangers(self) -> int:
        """An eighth is kept for addresses that have delivered signed events: a crowd cannot shut them out."""
        return self.in_all - self.in_all // 8


def limits(of_one: int) -> Limits:
    """What this process may open leaves room for."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = MOST if files == resource.RLIM_INFINITY else min(MOST, files - FILES_BESIDE)
    return Limits(max(room, 8), of_one)


def raise_file_limit() -> None:
    """Let this process, and those it starts, open as many files as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Connection(Protocol):
    """What is asked of a connection's protocol."""

    transport: asyncio.Transport


class Connections:
    """Admits connections within the limits, and aborts those whose peer has stopped reading.

    They are looked at together every few seconds: an answer that nobody reads stays in a transport's buffer
    whatever its connection does, waits, streams or has been closed, and no event tells of that.
    """

    def __init__(self, allowed: Limits, proxies: Sequence[Network] = ()) -> None:
        """A proxy's connections are many people's: what one address may have does not bound it."""
        self._limits = allowed
        self._proxies = proxies
        self._addresses: dict[Connection, str] = {}
        self._of_one: Counter[str] = Counter()
        self._senders: dict[str, None] = {}
        self._unread: dict[Connection, tuple[int, float]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def admit(self, connection: Connection, address: str) -> bool:
        """Count a new connection of the address; False, and not counted, where there is no room for it."""
        is_sender = address in self._senders
        room = self._limits.in_all if is_sender else self._limits.for_strangers
        if len(self._addresses) >= room:
            return False
        if self._of_one[address] >= self._limits.of_one and not self._is_proxy(address):
            return False
        self._addresses[connection] = address
        self._of_one[address] += 1
        self._sweep_later()
        return True

    def leave(self, connection: Connection) -> None:
        """A connection is over, admitted or not."""
        address = self._addresses.pop(connection, None)
        self._unread.pop(connection, None)
        if address is not None:
            self._of_one[address] -= 1
            if not self._of_one[address]:
                del self._of_one[address]

    def note_sender(self, address: str) -> None:
        """A signed delivery came from this address: from now on it may use what is kept for such."""
        self._senders.pop(address, None)
        self._senders[address] = None
        if len(self._senders) > _SENDERS_KNOWN:
            del self._senders[next(iter(self._senders))]

    def note_reading(self, connection: Connection) -> None:
        """The peer has read so much of a long answer that more of it may be written."""
        self._unread.pop(connection, None)

    def _is_proxy(self, address: str) -> bool:
        return is_within(caller_address(address, (), ()), self._proxies)

    def _sweep_later(self) -> None:
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._abort_unread)

    def _abort_unread(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self._addresses):
            waiting = connection.transport.get_write_buffer_size()
            before, since = self._unread.get(connection, (0, now))
            if not waiting:
                self._unread.pop(connection, None)
            elif waiting < before or not before:  # some was read, or this is the first that waits
                self._unread[connection] = (waiting, now)
            elif now - since >= UNREAD_SECONDS:
                connection.transport.abort()
            else:
                self._unread[connection] = (waiting, since)
        self._sweep = None
        if self._addresses:
            self._sweep_later()
