"""A small real receiver of batches: checks signatures with the public library, answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

Event = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What the receiver says to one request. `body` replaces the usual content."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass
class Receiver:
    """What came in. `answers` are used up in order; then `judge` may answer; else every request succeeds."""

    url: str = ""
    paths: list[str] = field(default_factory=list)
    deliveries: list[tuple[str, str]] = field(default_factory=list)
    """Of each request, `webhook-id` and signature."""
    requests: list[list[Event]] = field(default_factory=list)
    accepted: list[Event] = field(default_factory=list)
    answers: deque[Answer] = field(default_factory=deque)
    judge: Callable[[list[Event]], Answer | None] = lambda _: None
    refuse: Callable[[Event], str | None] = lambda _: None
    """The status of an event that is not taken: `conflict` or `invalid`."""
    date: Callable[[], float] = time.time
    signed_at: Callable[[], float] | None = None
    """The clock that signatures follow, where it is not the real one."""
    hold: threading.Event = field(default_factory=threading.Event)
    """Cleared, requests wait for it before they are answered."""

    @property
    def attempts(self) -> list[Event]:
        """Every event of every request."""
        return [event for request in self.requests for event in request]

    def wait_for(self, session_id: str, count: int, seconds: float = 5.0) -> list[Event]:
        """The accepted events of a session, once there are `count`, or what there is after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            events = self.of(session_id)
            if len(events) >= count or time.monotonic() > deadline:
                return events
            time.sleep(0.005)

    def of(self, session_id: str) -> list[Event]:
        """The accepted events of a session."""
        return [event for event in self.accepted if event["session_id"] == session_id]

    def types(self) -> list[str]:
        return [event["event_type"] for event in self.accepted]

    def take(self, headers: dict[str, str], body: bytes) -> tuple[Answer, bytes]:
        events = self._verified(headers, body)
        assert headers["content-type"] == "application/json"
        self.hold.wait(10)
        self.requests.append(events)
        self.deliveries.append((headers["webhook-id"], headers["webhook-signature"]))
        answer = self.answers.popleft() if self.answers else self.judge(events)
        if answer is not None:
            return answer, answer.body if answer.body is not None else b'{"title": "as told"}'
        results = [self._take_one(event) for event in events]
        refused = any(result["status"] in ("conflict", "invalid") for result in results)
        return Answer(207 if refused else 200), json.dumps({"results": results}).encode()

    def _take_one(self, event: Event) -> dict[str, str]:
        status = self.refuse(event)
        if status is None:
            self.accepted.append(event)
            return {"event_id": event["event_id"], "status": "created"}
        return {"event_id": event["event_id"], "status": status, "detail": "as told"}

    def _verified(self, headers: dict[str, str], body: bytes) -> list[Event]:
        if self.signed_at is not None:
            assert abs(int(headers["webhook-timestamp"]) - self.signed_at()) < 2
            events: list[Event] = json.loads(body)
            return events
        verified: Any = Webhook(SECRET).verify(body, headers)
        return list(verified)


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A receiver on loopback until the block ends."""
    receiver = Receiver()
    receiver.hold.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Without it, header and body of an answer wait for each other's acknowledgement.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.paths.append(self.path)
            answer, content = receiver.take(headers, body)
            self.send_response_only(answer.status)
            usual = {"content-length": str(len(content)), "date": self.date_time_string(receiver.date())}
            for name, value in {**usual, **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()
