"""One client's stream: what it missed, then what comes, with a sign of life in between."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from ops_service.live.audience import Listener
from ops_service.live.changes import RECHECK, Message, frames, resync
from ops_service.live.feed import Feed, Opening

KEEPALIVE_SECONDS: Final = 15.0
LIFETIME_SECONDS: Final = 60.0
"""Then the stream ends and the client resumes: so its credentials are looked at again."""

RETRY_MILLISECONDS: Final = 1_000

HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Stream:
    """The messages for one client: the log's in order, without gap or repeat."""

    def __init__(
        self, feed: Feed, opening: Opening, listener: Listener, may_listen: Callable[[], Awaitable[bool]]
    ) -> None:
        """`opening` is the feed's answer to where the client is; `may_listen` looks at its credentials."""
        self._feed = feed
        self._listener = listener
        self._ask = may_listen
        self._number, self._position, self._opening = opening

    async def frames(self) -> AsyncIterator[bytes]:
        """The bytes to send, until the feed stops, the client may not listen or the stream's time is over."""
        loop = asyncio.get_running_loop()
        # Not all clients that came together after a restart shall come again together.
        ends_at = loop.time() + LIFETIME_SECONDS * random.uniform(0.75, 1.0)
        yield format_sse_event(retry=RETRY_MILLISECONDS) + frames(self._opening)
        while not self._feed.stopped and (left := ends_at - loop.time()) > 0:
            messages = self._new()
            if RECHECK in messages and not await self._may_listen():
                return
            if told := frames(messages):
                yield told
                continue
            try:
                await self._feed.published(min(KEEPALIVE_SECONDS, left))
            except TimeoutError:
                yield KEEPALIVE_COMMENT

    async def _may_listen(self) -> bool:
        return await self._feed.audience.may_listen(self._listener, self._number, self._ask)

    def _new(self) -> list[Message]:
        messages = self._feed.past(self._number)
        self._number = self._feed.end
        if messages is None:
            self._position = self._feed.position
            return [resync(self._position, "gap"), RECHECK]
        fresh = [each for each in messages if each.position is None or each.position > self._position]
        told = [each.position for each in fresh if each.position is not None]
        self._position = told[-1] if told else self._position
        return fresh


class StreamResponse(StreamingResponse):
    """Gives the stream's place back, however it ends.

    FastAPI's own EventSourceResponse encodes each message for each client, and begins to answer before the
    route may refuse.
    """

    media_type = "text/event-stream"

    def __init__(self, feed: Feed, listener: Listener, content: AsyncIterator[bytes]) -> None:
        super().__init__(content, headers=HEADERS)
        self._feed = feed
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._feed.leave(self._listener)
