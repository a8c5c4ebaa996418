"""Bounds on the bodies of all routes but the ingress, which is answered before and bounds its own."""

import asyncio
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ops_service.ingress import body

MAX_BODY_BYTES: Final = 64 * 1024


class BodyLimit:
    """Raises 413 where a route reads on past the limit, 408 where it would wait past the ingress's deadline.

    Framework-made limits answer in plain text.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            # No route reads these bodies. What waits there waits for the client to go, as long as it stays.
            await self._app(scope, receive, send)
            return
        read = 0
        ends_at: float | None = None
        is_whole = False

        async def receive_bounded() -> Message:
            nonlocal read, ends_at, is_whole
            if is_whole:
                return await receive()
            ends_at = ends_at or asyncio.get_running_loop().time() + body.DEADLINE_SECONDS
            try:
                async with asyncio.timeout_at(ends_at):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, headers=body.CLOSE) from None
            read += len(message.get("body", b""))
            if read > MAX_BODY_BYTES:
                raise HTTPException(413, headers=body.CLOSE)
            is_whole = not message.get("more_body", False)
            return message

        await self._app(scope, receive_bounded, send)
