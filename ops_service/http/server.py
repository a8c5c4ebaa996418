"""How the service is served: uvicorn, with bounds on what a client may send before a request exists."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from tempfile import TemporaryDirectory
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ops_service import metrics
from ops_service.http.connections import Connections
from ops_service.http.problems import MEDIA_TYPE, RETRY_AFTER_SECONDS
from ops_service.http.sparing_log import SparingWarnings

MAX_HEAD_BYTES: Final = 32 * 1024
MAX_PIPELINED: Final = 64
"""Requests that wait behind the one being answered; each holds some KB."""
HEAD_SECONDS: Final = 10
BODY_SECONDS: Final = 15
SHUTDOWN_SECONDS: Final = 10
STREAM_END_SECONDS: Final = 1
WORKER_SECONDS: Final = 20
"""A worker that gives no sign of life for so long is replaced. uvicorn's own 5 seconds end workers that are
only starting, on a busy machine."""

CONNECTION: Final = "ops.connection"
"""The ASGI extension that gives a route its connection, under "http", for setting `on_shutdown`."""

CONNECTIONS: Final = "connections"
"""The application's Connections, in its lifespan's state."""

_STOPPING: Final = "stopping"
"""Among what all connections of a server share."""


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's own protocol bounds neither what stands around a request's body nor the time it may take.

    Trailers are read over: they would join the headers that the request was judged by.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.on_shutdown: Callable[[], None] | None = None
        """Set by an endless response: ends it."""
        self._in_head, self._in_body = True, False
        self._answered: RequestResponseCycle | None = None
        """The request that is being answered: with pipelining not the one that was read last."""
        self._deadline: asyncio.TimerHandle | None = None
        self._refusal: bytes | None = None
        self._outside_body = self._head_bytes = 0
        self._set_deadline(HEAD_SECONDS)
        connections = self._connections()
        if connections and not connections.admit(self, self.client[0] if self.client else ""):
            metrics.CONNECTIONS_REFUSED.inc()
            self._refuse(503, "There are too many connections; try again.")

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests wait on this connection")  # see on_headers_complete
        super().on_message_begin()
        self.on_shutdown = None
        self.scope["extensions"] = {CONNECTION: {"http": self}}
        self._in_head = True
        self._head_bytes = 0
        self._end_deadline()

    def on_url(self, url: bytes) -> None:
        self._head_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(name) + len(value) + len(": \r\n")
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError("the head is too large")  # the parser stops and has send_400_response called
        if self.parser.should_upgrade() and self._has_body():
            raise ValueError("the parser would skip the body")
        self._end_deadline()
        super().on_headers_complete()
        if not self.pipeline:
            self._answered = self.cycle
        if self.is_stopping:
            # Accepted while the server stopped: it was not among those told to, and would be waited for.
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._outside_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._outside_body = 0
        self._in_body = False
        self._end_deadline()
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self._outside_body += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self._refusal is not None:
            return
        if self._outside_body > MAX_HEAD_BYTES:
            self._refuse_head()
        elif self._deadline is None:
            self._bound_waiting()

    def on_response_complete(self) -> None:
        was_last = not self.pipeline
        if not was_last:
            self._answered = self.pipeline[-1][0]
        super().on_response_complete()
        if was_last and self._refusal is not None:
            self._end(self._refusal)
        elif not was_last and self._deadline is None:
            self._bound_waiting()

    def resume_writing(self) -> None:
        super().resume_writing()
        if connections := self._connections():
            connections.note_reading(self)

    @property
    def is_stopping(self) -> bool:
        """The server has told its connections to end."""
        return _STOPPING in self.app_state

    def shutdown(self) -> None:
        self.app_state[_STOPPING] = True
        # A body that is still on its way was not accepted; waiting for it could take all the time there is.
        cycle = getattr(self, "cycle", None)  # None before the first request, whatever uvicorn's type says
        if cycle and cycle.more_body and not cycle.response_started:
            self._refuse(503, "The service is stopping; send this again.")
        if self.on_shutdown:
            self.on_shutdown()
            # Whoever does not read any more would be waited for in vain.
            self.loop.call_later(STREAM_END_SECONDS, self.transport.abort)
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_deadline()
        if connections := self._connections():
            connections.leave(self)
        if self._answered and not self._answered.response_complete:
            self._answered.disconnected = True  # uvicorn tells the last one only, and this one would write on
            self._answered.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()
        elif self.parser.should_upgrade():
            self._refuse(400, "This server speaks HTTP/1.1 alone: send the request without `Upgrade`.")
        else:
            self._refuse(400, msg)

    def _connections(self) -> Connections | None:
        """What the application counts its connections by; None where another one is served."""
        return self.app_state.get(CONNECTIONS)

    def _has_body(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def _bound_waiting(self) -> None:
        """Most requests come whole and need no clock; for the rest of the others there is a time."""
        if self.pipeline:
            return  # Nothing is read meanwhile: what is missing may have been sent.
        # Blank lines, or the rest of a request that is answered already: uvicorn would wait for ever.
        if self._in_head or self.cycle.response_complete:
            self._set_deadline(HEAD_SECONDS)
        elif self._in_body:
            self._set_deadline(BODY_SECONDS)

    def _set_deadline(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._give_up_waiting)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up_waiting(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self._in_head:
            self._refuse(408, f"No complete request within {HEAD_SECONDS} seconds.")
        elif self.cycle.response_complete:
            self.transport.close()
        elif not self.cycle.response_started:  # what is being answered already needs no body, as a stream
            self._refuse(408, f"The body did not arrive within {BODY_SECONDS} seconds.")

    def _refuse_head(self) -> None:
        detail = f"The request line and headers are larger than {MAX_HEAD_BYTES} bytes."
        if self._in_head or self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, detail)
        else:
            self.transport.close()

    def _refuse(self, status: int, detail: str) -> None:
        self._end_deadline()
        phrase = HTTPStatus(status).phrase
        problem = {"type": "about:blank", "title": phrase, "status": status, "detail": detail}
        body = json.dumps(problem).encode()
        retry_after = f"retry-after: {RETRY_AFTER_SECONDS}\r\n" if status == 503 else ""
        head = (
            f"HTTP/1.1 {status} {phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n{retry_after}\r\n"
        )
        answer = head.encode() + body
        if self._must_wait():
            self._refusal = answer
        else:
            self._end(answer)

    def _must_wait(self) -> bool:
        """Whether requests before the refused one are still to be answered: answers keep their order."""
        cycle = getattr(self, "cycle", None)
        if cycle is None or cycle.response_complete:
            return False
        if not cycle.more_body:
            return True
        # The refused request is the one being read. Where it waits behind others, it is never begun.
        return bool(self.pipeline) and self.pipeline.popleft()[0] is cycle

    def _end(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()


_LOGGING: Final = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "filters": {"sparing": {"()": SparingWarnings}},
    "loggers": {
        **{
            name: {"handlers": ["stderr"], "level": "INFO"}
            for name in ("ops_service", "projections", "uvicorn")
        },
        "uvicorn.error": {"filters": ["sparing"]},  # a warning for each request that is none
    },
}
"""Lines with time and level to standard error, ours like the server's."""


def options() -> dict[str, Any]:
    """uvicorn's options, the same for the command and for tests."""
    return {
        "http": BoundedHttp,
        "log_config": _LOGGING,
        "access_log": False,
        # X-Forwarded-For is judged by OPS_TRUSTED_PROXIES, not by the server.
        "proxy_headers": False,
        "server_header": False,
        "ws": "none",
        "timeout_graceful_shutdown": SHUTDOWN_SECONDS,
        "timeout_worker_healthcheck": WORKER_SECONDS,
    }


@contextmanager
def counting_together(workers: int) -> Iterator[None]:
    """Let the workers that start inside the block keep their metrics in files, which each of them adds up."""
    if workers == 1:
        yield
        return
    with TemporaryDirectory(prefix="ops-metrics-") as folder:
        os.environ[metrics.FOLDER] = folder
        yield
