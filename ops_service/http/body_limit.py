"""Bounds on the bodies of all routes but the ingress, which is answered before and bounds its own."""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ops_service.http.problems import CLOSE

MAX_BODY_BYTES: Final = 64 * 1024


class BodyLimit:
    """Raises 413 where a route reads on past the limit. Framework-made limits answer in plain text."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            # No route reads these bodies. What waits there waits for the client to go.
            await self._app(scope, receive, send)
            return
        read = 0

        async def receive_bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY_BYTES:
                raise HTTPException(413, headers=CLOSE)
            return message

        await self._app(scope, receive_bounded, send)
