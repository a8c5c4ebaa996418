"""A client of the live stream, in a thread: reads, and resumes after every cut with the last id it got."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, NamedTuple
from urllib.parse import urlsplit

PATH = "/api/v1/stream"


class Told(NamedTuple):
    """A message as it came."""

    kind: str
    data: dict[str, Any]
    id: str | None


class Listener:
    """What a stream told so far. `url` may be changed; it counts from the next connection on."""

    def __init__(self, url: str, token: str, last_id: str | None = None) -> None:
        self.url = url
        self.messages: list[Told] = []
        self.comments = 0
        self.connections = 0
        self.refusals: list[int] = []
        self.last_id = last_id
        self._token = token
        self._socket: socket.socket | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="listener")
        self._thread.start()

    @property
    def positions(self) -> list[int]:
        """Of the events, in the order of their coming."""
        return [told.data["position"] for told in self.messages if told.kind == "event"]

    def of(self, kind: str) -> list[Told]:
        """The messages of one kind."""
        return [told for told in self.messages if told.kind == kind]

    def cut(self) -> None:
        """Break the connection, wherever it stands."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End for good."""
        self._closing = True
        self.cut()
        self._thread.join(15)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._closing:
            with suppress(OSError, HTTPException, ValueError):
                self._connect()
            time.sleep(0.02)

    def _connect(self) -> None:
        address = urlsplit(self.url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=30)
        resumed = {} if self.last_id is None else {"Last-Event-ID": self.last_id}
        try:
            connection.request("GET", PATH, headers={"Authorization": f"Bearer {self._token}", **resumed})
            self._socket = connection.sock
            response = connection.getresponse()
            if response.status == 200:
                self.connections += 1
                self._read(response)
            else:
                self.refusals.append(response.status)
                time.sleep(0.1)
        finally:
            connection.close()

    def _read(self, response: HTTPResponse) -> None:
        fields: dict[str, str] = {}
        while line := response.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if line.startswith(b":"):
                self.comments += 1
            elif name:
                fields[name] = value
            elif "data" in fields:
                # As in a browser, a message counts once its blank line has come.
                self.last_id = fields.get("id", self.last_id)
                self.messages.append(Told(fields["event"], json.loads(fields["data"]), fields.get("id")))
                fields = {}
            else:
                fields = {}


@contextmanager
def listening(url: str, token: str, last_id: str | None = None) -> Iterator[Listener]:
    """A listener that is connected, until the block ends."""
    listener = Listener(url, token, last_id)
    try:
        wait_until(lambda: listener.connections > 0)
        if last_id is None:
            wait_until(lambda: bool(listener.messages))
        yield listener
    finally:
        listener.close()


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Fails when it does not come true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)
