"""A small real receiver of webhooks: checks signatures with the public library and answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Answer:
    """What the receiver says to one request."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Receiver:
    """What came in. `answers` are used up in order; after them every request gets `standing`."""

    url: str = ""
    paths: list[str] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    accepted: list[dict[str, Any]] = field(default_factory=list)
    answers: deque[Answer] = field(default_factory=deque)
    standing: Answer = field(default_factory=lambda: Answer(201))
    hold: threading.Event = field(default_factory=threading.Event)
    """Cleared, requests wait for it before they are answered."""

    def wait_for(self, session_id: str, count: int, seconds: float = 5.0) -> list[dict[str, Any]]:
        """The accepted events of a session, once there are `count`, or what there is after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            events = [event for event in self.accepted if event["session_id"] == session_id]
            if len(events) >= count or time.monotonic() > deadline:
                return events
            time.sleep(0.005)

    def take(self, headers: dict[str, str], body: bytes) -> Answer:
        event = Webhook(SECRET).verify(body, headers)
        assert headers["webhook-id"] == event["event_id"]
        assert headers["content-type"] == "application/json"
        self.hold.wait(10)
        self.attempts.append(event)
        answer = self.answers.popleft() if self.answers else self.standing
        if answer.status < 300:
            self.accepted.append(event)
        return answer

    def types(self) -> list[str]:
        return [event["event_type"] for event in self.accepted]


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
            answer = receiver.take(headers, body)
            content = json.dumps({"status": answer.status}).encode()
            self.send_response(answer.status)
            for name, value in {**answer.headers, "content-length": str(len(content))}.items():
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
