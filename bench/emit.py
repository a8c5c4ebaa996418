"""What an emit costs the portal, with Ops up and down, beside what a portal would use otherwise; how fast a
backlog goes out.

Segment's and PostHog's queues take part when `segment-analytics-python` and `posthog` can be imported.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
import json
import logging
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import httpx
import typer

from bench import load
from bench.measure import Bar, Figure, Report, alternate, seconds
from bench.servers import OURS, ROOT, serving
from portal_hooks import OnboardHooks
from portal_hooks.event_encoding import encode_event
from portal_hooks.settings import INGRESS_PATH, HookSettings
from portal_hooks.signing import headers_for
from projections.database.database import Database
from tests.servers.process import free_port, running

UP: Final = "emit, Ops up"
DOWN: Final = "emit, Ops down"
DATA: Final = {"applied": ["MX", "SPF", "DKIM"], "provider": "cloudflare"}
BACKLOG: Final = 10_000
REQUEST_PAUSE_SECONDS: Final = 0.004
"""About two hundred requests a second: many times what a portal gets, and no saturation."""


Rival = tuple[Callable[[str], object], Callable[[], object]]
"""What a portal would call instead, and how to wait for what the calls left to do."""


class Times(NamedTuple):
    """Of one round; in microseconds, of the wizard's requests in milliseconds."""

    p50: float
    p99: float


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 9,
    emits: Annotated[int, typer.Option(min=100, help="per round")] = 20_000,
    wizard_runs: Annotated[int, typer.Option(min=10, help="per round, three requests each")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure; every figure is the median of the rounds."""
    logging.disable(logging.ERROR)
    report = Report(f"Emitting, {emits} calls in a row, one process")
    with tempfile.TemporaryDirectory(prefix="ops-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        database = Database(f"sqlite:///{folder / 'ops.sqlite3'}")
        stack.callback(database.dispose)
        ops = f"http://127.0.0.1:{stack.enter_context(serving(database, OURS)).port}"
        nowhere = f"http://127.0.0.1:{free_port()}"
        _measure_emits(report, folder, ops, nowhere, rounds, emits)
        _measure_backlog(report, folder, ops, nowhere)
        _measure_wizard(report, folder, ops, nowhere, rounds, wizard_runs)
    report.show(as_json)


def _measure_emits(report: Report, folder: Path, ops: str, nowhere: str, rounds: int, emits: int) -> None:
    with ExitStack() as stack:
        up = stack.enter_context(_hooks(folder / "up", ops))
        down = stack.enter_context(_hooks(folder / "down", nowhere))
        rivals = {name: stack.enter_context(rival) for name, rival in _rivals(folder, ops, report).items()}
        contestants: dict[str, Callable[[], Times]] = {
            UP: partial(_times, partial(_emit, up), emits, lambda: up.flush(60)),
            DOWN: partial(_times, partial(_emit, down), emits),
        }
        for name, (call, settle) in rivals.items():
            contestants[name] = partial(_times, call, min(emits, 500) if "POST" in name else emits, settle)
        samples = alternate(contestants, rounds)
    for name, runs in samples.items():
        report.figures.append(Figure(f"{name}: p50", "µs", [run.p50 for run in runs]))
        report.figures.append(Figure("    p99", "µs", [run.p99 for run in runs]))
    p50 = {name: Figure("", "", [run.p50 for run in runs]).median for name, runs in samples.items()}
    p99 = {name: Figure("", "", [run.p99 for run in runs]).median for name, runs in samples.items()}
    for name in (UP, DOWN):
        report.bars += [
            Bar(f"{name}: p50", p50[name], "<=", 10, "µs"),
            Bar(f"{name}: p99", p99[name], "<=", 150, "µs"),
        ]
    report.bars.append(Bar("down to up, p50, off by", abs(p50[DOWN] / p50[UP] - 1) * 100, "<=", 10, "%"))


def _nothing() -> None:
    pass


def _times(call: Callable[[str], object], count: int, settle: Callable[[], object] = _nothing) -> Times:
    """`settle` waits for what the calls left to a thread of this process, for it would disturb the next."""
    sessions = [f"session-{number:06d}" for number in range(count)]
    taken = []
    for session_id in sessions:
        began = time.perf_counter_ns()
        call(session_id)
        taken.append(time.perf_counter_ns() - began)
    settle()
    return _percentiles(taken, nanoseconds=1_000)


def _percentiles(taken: list[int], *, nanoseconds: int) -> Times:
    """Of times in nanoseconds, in units of so many `nanoseconds`."""
    taken.sort()
    return Times(
        taken[len(taken) // 2] / nanoseconds,
        taken[len(taken) * 99 // 100] / nanoseconds,
    )


def _emit(hooks: OnboardHooks, session_id: str) -> None:
    hooks.dns_applied(session_id, applied=DATA["applied"], provider="cloudflare", domain="acme.pt")


@contextmanager
def _hooks(spool: Path, url: str) -> Iterator[OnboardHooks]:
    spool.mkdir(exist_ok=True)
    hooks = OnboardHooks(HookSettings(url + INGRESS_PATH, load.KEY, spool, None, 4 * 2**30))
    yield hooks
    hooks.close()


def _rivals(folder: Path, ops: str, report: Report) -> dict[str, Any]:
    rivals: dict[str, Any] = {
        "httpx POST, the work of a BackgroundTask": _post_in_background(ops),
        "SQLite outbox insert, synchronous=NORMAL": _sqlite_outbox(folder / "normal.db", "NORMAL"),
        "SQLite outbox insert, synchronous=FULL": _sqlite_outbox(folder / "full.db", "FULL"),
    }
    for name, module, rival in (
        ("Segment's queue", "segment", _segment),
        ("PostHog's queue", "posthog", _posthog),
    ):
        if importlib.util.find_spec(module):
            rivals[name] = rival()
        else:
            report.notes.append(f"{name}: left out, its package is not installed")
    return rivals


@contextmanager
def _post_in_background(ops: str) -> Iterator[Rival]:
    """What FastAPI runs after the response; nothing of it survives the process."""
    with httpx.Client() as client:

        def post(session_id: str) -> None:
            event = encode_event("dns.applied", session_id, "acme.pt", DATA)
            headers = headers_for(load.KEY, event.event_id, event.body, int(time.time()))
            headers["content-type"] = "application/json"
            client.post(ops + INGRESS_PATH, content=event.body, headers=headers).raise_for_status()

        yield post, _nothing


@contextmanager
def _sqlite_outbox(file: Path, synchronous: str) -> Iterator[Rival]:
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute(
        "CREATE TABLE outbox (id INTEGER PRIMARY KEY, event_id TEXT, session_id TEXT, body TEXT)"
    )

    def insert(session_id: str) -> None:
        event = encode_event("dns.applied", session_id, "acme.pt", DATA)
        values = (event.event_id, session_id, event.body.decode())
        with connection:
            connection.execute("INSERT INTO outbox (event_id, session_id, body) VALUES (?, ?, ?)", values)

    yield insert, _nothing
    connection.close()


@contextmanager
def _segment() -> Iterator[Rival]:
    """Its own consumer thread runs; nobody listens at the address it is given."""
    client = importlib.import_module("segment.analytics.client").Client(
        "bench", host=f"http://127.0.0.1:{free_port()}", max_queue_size=10_000_000, max_retries=0
    )
    yield lambda session_id: client.track(session_id, "dns.applied", DATA), client.flush


@contextmanager
def _posthog() -> Iterator[Rival]:
    """Its own consumer thread runs; nobody listens at the address it is given."""
    client = importlib.import_module("posthog").Posthog(
        "bench", host=f"http://127.0.0.1:{free_port()}", max_queue_size=10_000_000, max_retries=0
    )
    yield (
        lambda session_id: client.capture("dns.applied", distinct_id=session_id, properties=DATA),
        client.flush,
    )


def _measure_backlog(report: Report, folder: Path, ops: str, nowhere: str) -> None:
    """Events that a portal left on disk while Ops was away, taken over by its next start."""
    taken = []
    for number in range(3):
        spool = folder / f"backlog{number}"
        with _hooks(spool, nowhere) as hooks:
            for event in range(BACKLOG):
                _emit(hooks, f"backlog-{number}-{event % 1000}")
        with _hooks(spool, ops) as hooks:
            hooks.start()
            taken.append(seconds(partial(_wait_until_empty, spool)))
    report.figures.append(Figure(f"a backlog of {BACKLOG:,} delivered to a local Ops", "s", taken))
    report.bars.append(Bar(f"backlog of {BACKLOG:,}", report.figures[-1].median, "<=", 10, "s"))


def _wait_until_empty(spool: Path) -> None:
    while list((spool / "lanes").iterdir()):
        time.sleep(0.01)


def _measure_wizard(report: Report, folder: Path, ops: str, nowhere: str, rounds: int, runs: int) -> None:
    """The three portals take turns, a customer each: what disturbs one disturbs the others as much."""
    urls = {"without hooks": "", "hooks, Ops up": ops, "hooks, Ops down": nowhere}
    with ExitStack() as stack:
        portals = {
            name: HTTPConnection("127.0.0.1", stack.enter_context(_wizard(folder / f"wizard {name}", url)))
            for name, url in urls.items()
        }
        for connection in portals.values():
            stack.callback(connection.close)
        samples = [_wizard_round(portals, runs) for _ in range(rounds)]
    for name in urls:
        report.figures.append(
            Figure(f"wizard request, {name}: p50", "ms", [one[name].p50 for one in samples])
        )
        report.figures.append(Figure("    p99", "ms", [one[name].p99 for one in samples]))
    for name in ("hooks, Ops up", "hooks, Ops down"):
        more = [one[name].p99 - one["without hooks"].p99 for one in samples]
        report.figures.append(Figure(f"wizard p99, {name}, more than without", "ms", more))
        report.bars.append(Bar(report.figures[-1].name, report.figures[-1].median, "<=", 1, "ms"))


def _wizard_round(portals: dict[str, HTTPConnection], runs: int) -> dict[str, Times]:
    """Of each portal, in milliseconds."""
    taken: dict[str, list[int]] = {name: [] for name in portals}
    for number in range(runs):
        for name in sorted(portals, key=lambda name: hash((name, number))):
            taken[name] += _one_customer(portals[name])
    return {name: _percentiles(times, nanoseconds=1_000_000) for name, times in taken.items()}


@contextmanager
def _wizard(folder: Path, ops: str) -> Iterator[int]:
    folder.mkdir()
    port = free_port()
    secret = base64.b64encode(load.KEY).decode()
    settings = {
        "OPS_WEBHOOK_SECRET": f"whsec_{secret}",
        "OPS_SPOOL_DIR": str(folder),
        "PYTHONPATH": str(ROOT),
    }
    with running(
        [sys.executable, "-m", "bench.wizard_portal", str(port)],
        log=folder / "portal.log",
        is_ready=partial(_answers, port),
        stop_signal=signal.SIGTERM,
        cwd=ROOT,
        env=os.environ | settings | {"OPS_WEBHOOK_URL": ops},
    ):
        yield port


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/status").is_success
    except httpx.TransportError:
        return False


def _one_customer(connection: HTTPConnection) -> list[int]:
    """Each request of a wizard run, in nanoseconds, with a pause before it."""
    taken: list[int] = []

    def post(path: str, **body: str) -> dict[str, Any]:
        time.sleep(REQUEST_PAUSE_SECONDS)
        began = time.perf_counter_ns()
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        content = connection.getresponse().read()
        taken.append(time.perf_counter_ns() - began)
        answer: dict[str, Any] = json.loads(content)
        return answer

    session_id = post("/validate-domain", domain="acme.pt")["session_id"]
    post("/dns/cloudflare/apply", session_id=session_id)
    post("/account/create", session_id=session_id, account="info")
    return taken


if __name__ == "__main__":
    typer.run(main)
