"""From an accepted event to every open stream, and to the screen of a real browser, at 20 events a second."""

import asyncio
import json
import re
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer

from bench import load
from bench.measure import Bar, Figure, Report
from bench.servers import OURS, Contestant, serving
from ops_service.auth import tokens
from ops_service.principals import SERVER
from portal_hooks.instants import now_instant
from portal_hooks.signing import headers_for
from projections.database.database import Database
from tests.running_ops import INGRESS, event
from tests.servers import chromium

STREAM: Final = "/api/v1/stream"
WITHIN_MS: Final = 1_000
POSITION: Final = re.compile(rb"^id: (\d+)$", re.MULTILINE)

# Notes when each number of started sessions stood on the screen.
WATCH_COUNT: Final = """() => {
  window.shown = [];
  const look = () => {
    const count = Number(document.querySelector("tr[data-stage=started] .count")?.textContent ?? 0);
    if (count > (window.shown.at(-1)?.[0] ?? 0)) window.shown.push([count, Date.now()]);
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    run_seconds: Annotated[float, typer.Option(min=1)] = 10.0,
    streams: Annotated[int, typer.Option(min=1)] = 50,
    rate: Annotated[int, typer.Option(min=1, help="Events per second.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure the live view; every figure is the median of the rounds."""
    runs = [_run(streams, rate, run_seconds) for _ in range(rounds)]
    received, shown = zip(*runs, strict=True)
    report = Report(f"Live view, SQLite, {streams} streams and one browser, {rate} events/s")
    for name, samples in (("accepted to received", received), ("accepted to on screen", shown)):
        p95 = Figure(f"{name}, p95", "ms", [_percentile(run, 95) for run in samples])
        report.figures += [Figure(f"{name}, p50", "ms", [statistics.median(run) for run in samples]), p95]
        report.bars.append(Bar(p95.name, p95.median, "<=", WITHIN_MS, "ms"))
    report.show(as_json)


def _run(streams: int, rate: int, run_seconds: float) -> tuple[list[float], list[float]]:
    """Milliseconds from each 2xx to each stream, and from each 2xx to the screen."""
    with tempfile.TemporaryDirectory(prefix="ops-bench-") as name:
        database = Database(f"sqlite:///{Path(name) / 'live.sqlite3'}")
        with serving(database, OURS) as server:
            with database.write() as connection:
                token = tokens.create(connection, "bench", "read", SERVER, now_instant())
            traffic = _Traffic(server, token, streams)
            with chromium.launched(chromium.provide()) as browser:
                page = browser.new_page()
                page.goto(f"http://127.0.0.1:{server.port}/#token={token}")
                page.locator(".live-live").wait_for()
                page.evaluate(WATCH_COUNT)
                # Playwright holds this thread's event loop.
                thread = threading.Thread(target=lambda: asyncio.run(traffic.run(rate, run_seconds)))
                thread.start()
                thread.join()
                page.wait_for_timeout(2 * WITHIN_MS)
                shown: list[tuple[int, float]] = page.evaluate("window.shown")
        database.dispose()
    return traffic.delays(), traffic.delays_on_screen(shown)


class _Traffic:
    """Sends events at a steady pace, and notes when they come out of each stream."""

    def __init__(self, server: Contestant, token: str, streams: int) -> None:
        self._url = f"http://127.0.0.1:{server.port}"
        self._port = server.port
        self._token = token
        self._accepted: dict[int, float] = {}
        self._received: list[dict[int, float]] = [{} for _ in range(streams)]

    async def run(self, rate: int, run_seconds: float) -> None:
        """Returns when all events are sent and every stream has had time for the last."""
        listening = [asyncio.create_task(self._listen(received)) for received in self._received]
        await asyncio.sleep(1)
        async with httpx.AsyncClient(base_url=self._url) as client:
            began = time.time()
            for number in range(round(rate * run_seconds)):
                await asyncio.sleep(max(0, began + number / rate - time.time()))
                await self._send(client, number)
        await asyncio.sleep(2 * WITHIN_MS / 1000)
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)

    def delays(self) -> list[float]:
        """Raises AssertionError when a stream missed an event."""
        for received in self._received:
            assert received.keys() == self._accepted.keys()
        return [
            1000 * (received[position] - at)
            for position, at in self._accepted.items()
            for received in self._received
        ]

    def delays_on_screen(self, shown: list[tuple[int, float]]) -> list[float]:
        """`shown` says when which count stood there; the n-th event starts the n-th session."""
        return [
            next(at for count, at in shown if count >= position) - 1000 * accepted
            for position, accepted in self._accepted.items()
        ]

    async def _send(self, client: httpx.AsyncClient, number: int) -> None:
        value = event("onboarding.started", f"bench-{number}", domain="bench.example")
        body = json.dumps(value).encode()
        signed = headers_for(load.KEY, value["event_id"], body, int(time.time()))
        answer = await client.post(
            INGRESS, content=body, headers={"content-type": "application/json", **signed}
        )
        self._accepted[answer.json()["position"]] = time.time()

    async def _listen(self, received: dict[int, float]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"GET {STREAM} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._token}\r\n\r\n"
        writer.write(head.encode())
        while line := await reader.readline():
            if found := POSITION.match(line.rstrip()):
                position = int(found[1])
                if position:  # 0 is where the stream begins
                    received.setdefault(position, time.time())


def _percentile(samples: list[float], percent: int) -> float:
    return statistics.quantiles(samples, n=100)[percent - 1]


if __name__ == "__main__":
    typer.run(main)
