"""The feed of one process: reads what is new once, for all its streams.

The last messages lie in one ring. A stream holds only how far it has come, so a slow client costs no memory:
for what has left the ring meanwhile it gets a `resync`.
"""

import asyncio
import logging
from collections import deque
from itertools import islice
from typing import Final, NamedTuple

from fastapi.concurrency import contextmanager_in_threadpool

from ops_service import metrics
from ops_service.live import changes
from ops_service.live.audience import Audience, Listener
from ops_service.live.changes import Message, State
from projections.database.commit_signal import Wait, watching
from projections.database.database import Database, DatabaseUnavailable

logger = logging.getLogger(__name__)

KEPT: Final = 2 * changes.MOST_EVENTS
"""Messages in the ring."""

_ROUND_SECONDS: Final = 0.05
"""At least so long between two reads: what is committed meanwhile is read together."""

_WAIT_SECONDS: Final = 0.5
"""Reads at least so often: where a pooler swallows notifications, and to notice a stop."""

_RETRY_SECONDS: Final = 1.0


class TooManyStreams(Exception):
    """This process serves as many streams as it may."""


class Opening(NamedTuple):
    """Where a new stream begins."""

    number: int
    """Of the feed's message it goes on with."""
    position: int
    """Up to here `messages` tell of the log."""
    messages: list[Message]


class Feed:
    """Everything belongs to one event loop. Does nothing before the first stream and while there is none."""

    def __init__(self, database: Database, most_streams: int, most_of_one: int) -> None:
        """`most_streams` bounds the streams at one time, `most_of_one` those of one principal."""
        self._database = database
        self._most_streams = most_streams
        self._ring: deque[Message] = deque(maxlen=KEPT)
        self._state: State | None = None
        self._ready = asyncio.Event()
        self._wanted = asyncio.Event()
        self._published = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.audience = Audience(most_of_one)
        self.streams = 0
        self.end = 0
        """The number of the message that will be published next."""
        self.stopped = False

    def enter(self, listener: Listener) -> None:
        """A stream begins; it must `leave`. Raises TooManyStreams or TooManyOfOne."""
        if self.streams >= self._most_streams or self.stopped:
            raise TooManyStreams
        self.audience.enter(listener)
        self.streams += 1
        metrics.STREAMS.inc()
        self._wanted.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="live-feed")

    def leave(self, listener: Listener) -> None:
        """A stream has ended."""
        self.audience.leave(listener)
        self.streams -= 1
        metrics.STREAMS.dec()
        if not self.streams:
            self._wanted.clear()

    def stop(self) -> None:
        """End all streams; `close` follows."""
        self.stopped = True
        self._wanted.set()
        self._wake()

    async def close(self) -> None:
        """Returns when nothing uses the database any more."""
        self.stop()
        if self._task is not None:
            await self._task

    async def opening(self, after: int | None) -> Opening:
        """What a new stream begins with. Raises DatabaseUnavailable."""
        await self._primed()
        # The number comes first: whatever is committed after the reading has a later one. What was committed
        # before the reading and is published after it, the stream knows by its position.
        number = self.end
        position, messages = await asyncio.to_thread(self._read_opening, after)
        return Opening(number, position, messages)

    def past(self, number: int) -> list[Message] | None:
        """The messages from `number` on; None when the ring no longer has them all."""
        missing = self.end - number
        if missing > len(self._ring):
            return None
        return list(islice(self._ring, len(self._ring) - missing, None))

    @property
    def position(self) -> int:
        """The log position up to which everything is published."""
        return self._state.position if self._state else 0

    async def published(self, seconds: float) -> None:
        """Wait for the next messages, for the stop, or for so long. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            await self._published.wait()

    async def _primed(self) -> None:
        try:
            async with asyncio.timeout(_RETRY_SECONDS * 3):
                await self._ready.wait()
        except TimeoutError:
            raise DatabaseUnavailable("the live feed has no database") from None

    def _read_opening(self, after: int | None) -> tuple[int, list[Message]]:
        with self._database.read() as connection:
            return changes.opening(connection, after)

    async def _run(self) -> None:
        while not self.stopped:
            try:
                await self._follow()
            except DatabaseUnavailable as error:
                logger.warning("the live feed waits for the database: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
            except Exception:
                logger.exception("the live feed failed; it begins again")
                await asyncio.sleep(_RETRY_SECONDS)

    async def _follow(self) -> None:
        async with contextmanager_in_threadpool(watching(self._database)) as wait:
            while not self.stopped:
                await self._round(wait)

    async def _round(self, wait: Wait) -> None:
        """Publish what is new, then wait for a commit."""
        if not self._wanted.is_set():
            self._ready.clear()
            self._state = None
            await self._wanted.wait()
            return
        before = self._state
        self._state, messages = await asyncio.to_thread(self._read, before)
        self._ready.set()
        self._publish(messages)
        await asyncio.sleep(_ROUND_SECONDS)
        await asyncio.to_thread(wait, _WAIT_SECONDS)

    def _read(self, before: State | None) -> tuple[State, list[Message]]:
        with self._database.read() as connection:
            return changes.since(connection, before) if before else (changes.state_of(connection), [])

    def _publish(self, messages: list[Message]) -> None:
        if messages:
            self._ring.extend(messages)
            self.end += len(messages)
            self._wake()

    def _wake(self) -> None:
        self._published.set()
        if not self.stopped:
            self._published = asyncio.Event()
