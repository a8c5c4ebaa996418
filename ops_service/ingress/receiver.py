"""A delivery's way from the socket to the log: network, limits, signature, contract, writer.

The order is that of cost and trust: nothing is read from a stranger, no body before its signature headers are
well-formed and in time, nothing is parsed before the signature is known to be right, and nothing is answered
with 2xx before it is durable.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import ceil
from typing import Final, NamedTuple, TypeVar

from fastapi import Request

from ops_service import metrics
from ops_service.http.networks import caller_of, is_within
from ops_service.http.problems import CLOSE, Problem, unavailable
from ops_service.http.server import CONNECTIONS
from ops_service.ingress.body import Grow, Room, read_body
from ops_service.ingress.deliveries import (
    Headers,
    InvalidItem,
    batch_carrier,
    read_batch,
    read_single,
    single_carrier,
)
from ops_service.ingress.rate_limit import RateLimit
from ops_service.ingress.writer import Overloaded, Writer
from ops_service.rejected import keeping
from ops_service.rejected.keeping import Rejection
from ops_service.settings import Settings
from portal_hooks.contract import MAX_BATCH_BYTES, MAX_EVENT_BYTES, InvalidEvent
from portal_hooks.instants import SECOND
from portal_hooks.signing import SignatureRejected, Verified, read_claim, verify_claim
from projections.envelope import Delivery, Envelope
from projections.log import Receipt

CONFLICT = "This source has already sent other content under this event_id; the first is kept."

READ_AT_ONCE_BYTES: Final = 128 * 1024
"""Larger bodies are verified and read on a thread: the worst of them would hold the event loop too long."""

Result = TypeVar("Result")


class Admitted(NamedTuple):
    """A delivery whose sender is known; its content is not judged yet."""

    carrier: str
    body: bytes
    verified: Verified
    received_at: int


class Receiver:
    """Takes deliveries for one service. Its methods raise Problem for everything refused."""

    def __init__(self, settings: Settings, writer: Writer, clock: Callable[[], int]) -> None:
        """`writer` must be started before the first delivery; `clock` tells the instant."""
        self._clock = clock
        self._settings = settings
        self._writer = writer
        self._rate = RateLimit(settings.max_events_per_second)
        self.room = Room()
        # One thread: several would only share the interpreter, and hold the parsed values of several bodies.
        self._thread = ThreadPoolExecutor(1, "ops-large-bodies")

    def close(self) -> None:
        """End the thread. No delivery may be on its way any more."""
        self._thread.shutdown()

    async def take_event(self, request: Request) -> Receipt:
        """Store the one event of the request; the receipt says created or duplicate."""
        with self.room.for_body() as grow:
            admitted = await self._admit(request, single_carrier, self._settings.max_event_bytes, grow)
            return await self._take_event(admitted)

    async def take_batch(self, request: Request) -> list[Receipt | InvalidItem]:
        """Store the good items of the request's batch; the results are in the items' order."""
        limit = max(MAX_BATCH_BYTES, self._settings.max_event_bytes)
        with self.room.for_body() as grow:
            return await self._take_batch(await self._admit(request, batch_carrier, limit, grow))

    def require_allowed(self, request: Request) -> None:
        """Nothing is read from, or told to, who calls from outside the allowed networks."""
        address = caller_of(request, self._settings.trusted_proxies)
        if not is_within(address, self._settings.allowed_networks):
            raise Problem(403, "This address is outside the allowed networks.", headers=CLOSE)

    async def _take_event(self, admitted: Admitted) -> Receipt:
        envelope = await self._read(
            admitted, lambda: read_single(admitted.body, admitted.carrier, admitted.verified.webhook_id)
        )
        [receipt] = await self._store(admitted, [envelope])
        if receipt.status == "conflict":
            await self._keep(admitted, [Rejection(409, CONFLICT, admitted.body)])
            raise Problem(409, CONFLICT, event_id=receipt.event_id, position=receipt.position)
        return receipt

    async def _take_batch(self, admitted: Admitted) -> list[Receipt | InvalidItem]:
        limit = self._settings.max_event_bytes
        items = await self._read(admitted, lambda: read_batch(admitted.body, admitted.carrier, limit))
        self._count(admitted.verified.source, len(items), _least_events(admitted.body))
        receipts = iter(await self._store(admitted, [item for item in items if isinstance(item, Envelope)]))
        results = [next(receipts) if isinstance(item, Envelope) else item for item in items]
        rejections = [found for pair in zip(items, results, strict=True) if (found := _rejection(*pair))]
        if rejections:
            await self._keep(admitted, rejections)
        return results

    async def _admit(
        self, request: Request, carrier_of: Callable[[Headers], str], limit: int, grow: Grow
    ) -> Admitted:
        self.require_allowed(request)
        headers = request.scope["headers"]
        carrier = carrier_of(headers)
        with _forgeries_are_refused(CLOSE):
            claim = read_claim(headers, self._clock() / SECOND)
        body = await read_body(request, limit, grow)
        received_at = self._clock()
        with _forgeries_are_refused():
            keys = self._settings.webhook_secrets
            verified = await self._apart(body, lambda: verify_claim(claim, body, keys))
        if request.client and (connections := request.scope.get("state", {}).get(CONNECTIONS)):
            connections.note_sender(request.client.host)
        # Before it is read: reading costs as much where nothing in it is an event.
        self._count(verified.source, _least_events(body))
        return Admitted(carrier, body, verified, received_at)

    async def _apart(self, body: bytes, work: Callable[[], Result]) -> Result:
        """Do `work` on `body` at once, or on the thread where it is large."""
        if len(body) <= READ_AT_ONCE_BYTES:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _read(self, admitted: Admitted, read: Callable[[], Result]) -> Result:
        try:
            return await self._apart(admitted.body, read)
        except InvalidEvent as error:
            await self._keep(admitted, [Rejection(422, str(error), admitted.body)])
            raise Problem(422, "The event has wrong fields.", errors=error.errors) from None

    def _count(self, source: str, events: int, counted: int = 0) -> None:
        wait = self._rate.take(source, events, counted)
        if wait:
            retry_after = {"Retry-After": str(ceil(wait))}
            raise Problem(429, "This source sends faster than it may.", headers=retry_after)

    async def _store(self, admitted: Admitted, envelopes: Sequence[Envelope]) -> list[Receipt]:
        if not envelopes:
            return []
        source, received_at = admitted.verified.source, admitted.received_at
        deliveries = [Delivery(source, received_at, envelope) for envelope in envelopes]
        with _waiting_is_bounded():
            return await self._writer.submit(deliveries)

    async def _keep(self, admitted: Admitted, rejections: Sequence[Rejection]) -> None:
        """Keep a refused delivery before it is refused: where that cannot be, it shall be sent again."""
        # Through the writer: where the database is busy, this takes neither a thread nor a connection from
        # those who read.
        with _waiting_is_bounded():
            await self._writer.keep(
                lambda connection: keeping.record(
                    connection, admitted.verified, admitted.received_at, rejections
                )
            )
        metrics.REJECTED.inc(len(rejections))


def _least_events(body: bytes) -> int:
    """What a delivery counts as, whatever is in it."""
    return max(1, len(body) // MAX_EVENT_BYTES)


@contextmanager
def _forgeries_are_refused(headers: Mapping[str, str] | None = None) -> Iterator[None]:
    try:
        yield
    except SignatureRejected as error:
        # The server sends `Date` with every answer, so a sender sees when its own clock is off.
        metrics.SIGNATURES_REJECTED.labels(error.reason).inc()
        raise Problem(401, str(error), headers=headers) from None


@contextmanager
def _waiting_is_bounded() -> Iterator[None]:
    try:
        yield
    except Overloaded:
        raise unavailable("Too many events are waiting; send this one again.") from None


def _rejection(item: Envelope | InvalidItem, result: Receipt | InvalidItem) -> Rejection | None:
    if isinstance(item, InvalidItem):
        return Rejection(422, f"{item.event_id or 'an item'}: {item.detail}", item.body)
    if isinstance(result, Receipt) and result.status == "conflict":
        return Rejection(409, f"{item.event_id}: {CONFLICT}", item.payload.encode())
    return None
