"""Names each request, so that an error on the screen can be found in the log."""

import logging
import secrets
from itertools import count
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ops_service.http.sparing_log import SparingLog

logger = logging.getLogger(__name__)

HEADER: Final = b"x-request-id"


class RequestId:
    """Sends `X-Request-Id` with every answer, and logs the id of each that is the service's fault; of those
    refused for want of room or database, which may be thousands a second, some.

    What nobody expected goes on with the id, for the log of the server.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._refusals = SparingLog(logger)
        # Told apart across workers and restarts by the first half: chance for each request would cost more.
        self._process = secrets.token_hex(4)
        self._numbers = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"{self._process}-{next(self._numbers)}"

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER, request_id.encode())]
                if message["status"] == 503:
                    self._refusals.warning("request %s was answered with 503", request_id)
                elif message["status"] >= 500:
                    logger.error("request %s was answered with %s", request_id, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except Exception as error:
            error.add_note(f"It was request {request_id}.")
            raise
