"""Stands between a client and a real Ops, and spoils requests or the line itself in the ways networks do."""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit

import httpx

from tests.running_ops import PLAIN_HTTP


@dataclass
class Proxy:
    """`failing` is the share of requests that are spoiled."""

    url: str = ""
    failing: float = 0.2
    spoiled: Counter[str] = field(default_factory=Counter)


@contextmanager
def unreliable_proxy(target: str, seed: int) -> Iterator[Proxy]:
    """A proxy on loopback until the block ends."""
    proxy = Proxy()
    chance = random.Random(seed)
    client = httpx.Client(base_url=target, timeout=30, verify=PLAIN_HTTP)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            spoil = chance.choice(("503", "500", "lost request", "lost answer"))
            if chance.random() >= proxy.failing:
                spoil = ""
            proxy.spoiled[spoil] += 1
            if spoil in ("503", "500"):
                self._answer(int(spoil), b"{}")
            elif spoil == "lost request":
                self._hang_up()
            else:
                response = client.post(self.path, content=body, headers=dict(self.headers.items()))
                if spoil == "lost answer":
                    self._hang_up()
                else:
                    self._answer(response.status_code, response.content)

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            with suppress(BrokenPipeError):  # the portal was killed meanwhile
                self.wfile.write(content)

        def _hang_up(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        client.close()


class Line:
    """A line that forwards bytes, until it is cut: then no connection stands and none is answered."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.is_cut = False
        self._ends: set[socket.socket] = set()

    def cut(self) -> None:
        """Break everything that is connected."""
        self.is_cut = True
        for end in list(self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """New connections are answered again."""
        self.is_cut = False

    def carry(self, near: socket.socket, target: tuple[str, int]) -> None:
        """Forward both ways until either end closes."""
        if self.is_cut:
            return
        with socket.create_connection(target) as far:
            self._ends |= {near, far}
            back = threading.Thread(target=_pump, args=(far, near), daemon=True)
            back.start()
            _pump(near, far)
            back.join()
            self._ends -= {near, far}


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def severable_line(target: str) -> Iterator[Line]:
    """A line to the service at `target`, on loopback, until the block ends."""
    address = urlsplit(target)
    far = (address.hostname or "", address.port or 80)

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            line.carry(self.request, far)

    class Server(ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        line = Line(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield line
        finally:
            line.cut()
            server.shutdown()
            thread.join()
