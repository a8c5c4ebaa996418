"""The load: signed requests over keep-alive connections from a process of its own, so that it shares no
interpreter lock with the server. Everything is signed and laid out before the clock starts.

`python -m bench.load` sends and prints one JSON object.
"""

import asyncio
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Final, cast

import msgspec
import typer
import uvloop

from bench.wizard_traffic import Moment, moments
from portal_hooks.instants import SECOND, now_instant
from portal_hooks.signing import headers_for

KEY: Final = b"bench-key-of-thirty-two-bytes-xx"
WARM_UP_SECONDS: Final = 0.3
PATIENCE_SECONDS: Final = 30
"""How long answers may take before the run is given up."""

_WHOLE_ANSWER = b"\r\n\r\n"
_LENGTH = b"content-length: "


def requests(path: str, batch: int, number: int) -> list[bytes]:
    """`number` distinct signed requests, each with one event, or with an array of `batch` events."""
    found = _fresh_moments()
    if batch:
        return [_request(path, [m.envelope() for m in islice(found, batch)]) for _ in range(number)]
    return [_request(path, moment.envelope()) for moment in islice(found, number)]


def _fresh_moments() -> Iterator[Moment]:
    """Events nobody has sent before, in the past as a portal's are; about fifty sessions go abreast."""
    now = now_instant()
    return moments(now - 20_000_000 * SECOND, 60 * SECOND // 2, seed=now)


def _request(path: str, value: object) -> bytes:
    body = msgspec.json.encode(value)
    webhook_id = str(value["event_id"]) if isinstance(value, dict) else f"batch-{time.perf_counter_ns()}"
    signed = headers_for(KEY, webhook_id, body, int(time.time()))
    lines = [
        f"POST {path} HTTP/1.1",
        "host: 127.0.0.1",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *(f"{name}: {text}" for name, text in signed.items()),
    ]
    return "\r\n".join(lines).encode() + _WHOLE_ANSWER + body


class Run:
    """What is still to be sent and what came back."""

    def __init__(self, waiting: list[bytes], seconds: float) -> None:
        self.waiting = waiting
        self.started = time.perf_counter()
        self.ends = self.started + WARM_UP_SECONDS + seconds
        self.statuses: Counter[int] = Counter()
        self.answered: list[tuple[float, float]] = []
        """When each 2xx came, and how long after its request."""


class Connection(asyncio.Protocol):
    """Sends the next request as soon as the last one is answered."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._received = b""
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it
        self._send()

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data
        end = received.find(_WHOLE_ANSWER)
        if end < 0:
            return
        at = received.find(_LENGTH) + len(_LENGTH)
        length = int(received[at : received.find(b"\r\n", at)])
        if len(received) < end + 4 + length:
            return
        self._received = b""
        status = int(received[9:12])
        now = time.perf_counter()
        self._run.statuses[status] += 1
        if 200 <= status < 300:
            self._run.answered.append((now, now - self._sent))
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_exception(exc or ConnectionError("the server closed the connection"))

    def _send(self) -> None:
        self._sent = time.perf_counter()
        if self._sent >= self._run.ends or not self._run.waiting:
            self.finished.set_result(None)
            self._transport.close()
            return
        self._transport.write(self._run.waiting.pop())


async def send(port: int, run: Run, connections: int) -> None:
    """Send until the time is over or nothing is left. Raises TimeoutError when an answer stays out."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(run.ends - run.started + PATIENCE_SECONDS):
        opened = [
            await loop.create_connection(lambda: Connection(run), "127.0.0.1", port)
            for _ in range(connections)
        ]
        await asyncio.gather(*(connection.finished for _, connection in opened))


def summary(run: Run) -> dict[str, object]:
    """Answers per second and their latencies, from the end of the warm-up to the last answer."""
    begin = run.started + WARM_UP_SECONDS
    counted = [(at, took) for at, took in run.answered if at >= begin]
    took = sorted(took for _, took in counted)
    last = max(at for at, _ in counted)
    return {
        "statuses": dict(run.statuses),
        "per_second": len(counted) / (last - begin),
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[math.ceil(len(took) * 0.99) - 1] * 1000,
    }


def main(
    port: Annotated[int, typer.Option()],
    path: Annotated[str, typer.Option()],
    seconds: Annotated[float, typer.Option()] = 3.0,
    connections: Annotated[int, typer.Option()] = 32,
    batch: Annotated[int, typer.Option(help="Events per request; 0 sends single events.")] = 0,
    most: Annotated[int, typer.Option(help="Requests per second to prepare for.")] = 12_000,
) -> None:
    """Send for some seconds and print what came of it."""
    waiting = requests(path, batch, int(most * (seconds + WARM_UP_SECONDS)))
    waiting.reverse()
    run = Run(waiting, seconds)
    uvloop.run(send(port, run, connections))
    if not waiting:
        sys.exit("the prepared requests ran out before the time did; raise --most")
    print(json.dumps(summary(run)))


if __name__ == "__main__":
    typer.run(main)
