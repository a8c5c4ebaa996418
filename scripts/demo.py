"""`make demo`: the service and the reference portal on a scratch database.

Wizard runs go on until Ctrl-C; the database is removed with the rest then.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Final

import httpx
from sqlalchemy import select

from ops_service.app import create_app
from ops_service.commands import dev
from ops_service.commands.prepared_database import prepare
from ops_service.ingress.routes import PATH as INGRESS
from ops_service.settings import Settings
from ops_service.tickets import reading
from portal_hooks import contract
from portal_hooks.instants import SECOND, now_instant
from portal_hooks.signing import headers_for
from projections.database.database import Database
from projections.database.tables import tickets
from projections.onboarding import fold
from projections.onboarding.events import Event
from scripts.demo_traffic import FAST_PORTAL, PORTAL, Act, Arrival, three_days

BETWEEN_RUNS: Final = (2.0, 9.0)
BETWEEN_STEPS: Final = (0.5, 5.0)
# One in so many wizard runs stops at the step, for the reason the reference portal simulates.
TROUBLE: Final[Mapping[str, tuple[float, str]]] = {
    "/validate-domain": (0.05, "not_delegated"),
    "/dns/cloudflare/apply": (0.10, "timeout"),
    "/account/create": (0.10, "carbonio_error"),
}
ABANDONED: Final = 0.08


async def fill(database_url: str, now: int | None = None) -> None:
    """Let the three days until `now` happen to a migrated database.

    Every event is signed and goes through the service's own ingress, whose clock is set to the event's time.
    """
    keys = {source: os.urandom(32) for source in (PORTAL, FAST_PORTAL)}
    app = create_app(Settings(_env_file=None, database_url=database_url, webhook_secrets=tuple(keys.items())))
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as http:
        for happened in three_days(now or now_instant()):
            app.state.clock = lambda at=happened.at: at
            if isinstance(happened, Act):
                act(app.state.database, happened)
            else:
                with mistaken_logic() if happened.is_unreadable else nullcontext():
                    await deliver(http, keys[happened.source], happened)


@contextmanager
def mistaken_logic() -> Iterator[None]:
    """Within the block the projection logic has a bug: an event of a type it does not know is quarantined.

    The logic that is served afterwards can read it, so that a retry mends it, as after a deployment.
    """
    apply = fold.apply

    def mistaken(session: fold.Session, event: Event) -> fold.Effect:
        if event.event_type not in contract.EVENT_TYPES:
            raise KeyError(event.event_type)
        return apply(session, event)

    fold.apply = mistaken
    try:
        yield
    finally:
        fold.apply = apply


async def deliver(http: httpx.AsyncClient, key: bytes, arrival: Arrival) -> None:
    """Send one event as its portal did. Raises RuntimeError for an answer the traffic does not provoke."""
    body = json.dumps(arrival.envelope).encode()
    signature = headers_for(key, arrival.envelope["event_id"], body, arrival.at // SECOND)
    headers = {"content-type": "application/json", **signature}
    answer = await http.post(f"http://demo{INGRESS}", content=body, headers=headers)
    if answer.status_code not in (200, 201, 409, 422):
        raise RuntimeError(f"the ingress answered {answer.status_code}: {answer.text}")


def act(database: Database, done: Act) -> None:
    """Do to the session's ticket what its operator did."""
    with database.write() as connection:
        query = select(tickets.c.id).where(tickets.c.session_id == done.session_id)
        ticket = reading.find_ticket(connection, connection.execute(query).scalar_one())
        if ticket is None:
            raise RuntimeError(f"the ticket of {done.session_id} has gone")
        reading.change(connection, ticket, done.changes, done.author, done.at)
        if done.note:
            reading.touch(connection, ticket.row.id, done.at)
            reading.add_note(connection, ticket.row.id, "note", done.author, done.note, done.at)


async def keep_going(portal: str) -> None:
    """Customers who click through the portal's wizard, one beginning every few seconds, for ever."""
    chance = random.Random()
    async with httpx.AsyncClient(base_url=portal) as http, asyncio.TaskGroup() as customers:
        while True:
            await asyncio.sleep(chance.uniform(*BETWEEN_RUNS))
            customers.create_task(wizard_run(http, chance))


async def wizard_run(http: httpx.AsyncClient, chance: random.Random) -> None:
    """One customer; ends where the wizard fails, or where patience does."""
    request: dict[str, Any] = {"domain": f"cliente-{chance.randrange(10_000)}.pt"}
    for path, (share, trouble) in TROUBLE.items():
        if path == "/account/create":
            request["account"] = "geral"
        simulated = {"simulate": trouble} if chance.random() < share else {}
        try:
            answer = await http.post(path, json=request | simulated)
        except httpx.TransportError:  # not up yet, or already down
            return
        if answer.is_error or chance.random() < ABANDONED:
            return
        request = {"session_id": answer.json()["session_id"]}
        await asyncio.sleep(chance.uniform(*BETWEEN_STEPS))


async def run(scratch: str) -> int:
    """Fill a database in the folder, then serve it until Ctrl-C. Returns an exit code."""
    url = f"sqlite:///{scratch}/ops.db"
    os.environ |= {"OPS_DATABASE_URL": url, "OPS_SPOOL_DIR": f"{scratch}/spool"}
    with Database(url) as database:
        prepare(database)
    print("Three days of traffic are going through the ingress …", flush=True)
    started = time.monotonic()
    await fill(url)
    print(f"… done in {time.monotonic() - started:.0f} s.", flush=True)
    portal = f"http://127.0.0.1:{os.environ.get('PORTAL_PORT', dev.PORTAL_PORT)}"
    customers = asyncio.create_task(keep_going(portal))
    try:
        return await dev.run()
    finally:
        customers.cancel()
        with suppress(asyncio.CancelledError):
            await customers


def main() -> None:
    """Run the demo in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="ops-demo-") as scratch, suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(run(scratch)))


if __name__ == "__main__":
    main()
