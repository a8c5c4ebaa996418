"""How the service is served: uvicorn, with bounds on what a client may send before a request exists."""

import asyncio
import json
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ops_service.problems import MEDIA_TYPE

MAX_HEAD_BYTES: Final = 32 * 1024
HEAD_SECONDS: Final = 10
SHUTDOWN_SECONDS: Final = 10


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's own protocol bounds neither the size of a request's head nor the time it may take."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._end_head()
        self._begin_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_deadline is None:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, f"The request line and headers are larger than {MAX_HEAD_BYTES} bytes.")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def _begin_head(self) -> None:
        self._head_bytes = 0
        self._head_deadline: asyncio.TimerHandle | None = self.loop.call_later(
            HEAD_SECONDS, self._give_up_waiting
        )

    def _end_head(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _give_up_waiting(self) -> None:
        # A kept-alive connection between two requests has uvicorn's own, shorter time-out.
        if not self.transport.is_closing():
            self._refuse(408, f"No complete request within {HEAD_SECONDS} seconds.")

    def _refuse(self, status: int, detail: str) -> None:
        self._end_head()
        phrase = HTTPStatus(status).phrase
        problem = {"type": "about:blank", "title": phrase, "status": status, "detail": detail}
        body = json.dumps(problem).encode()
        head = (
            f"HTTP/1.1 {status} {phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def options() -> dict[str, Any]:
    """uvicorn's options, the same for the command and for tests."""
    return {
        "http": BoundedHttp,
        "access_log": False,
        # X-Forwarded-For is judged by OPS_TRUSTED_PROXIES, not by the server.
        "proxy_headers": False,
        "server_header": False,
        "ws": "none",
        "timeout_graceful_shutdown": SHUTDOWN_SECONDS,
    }
