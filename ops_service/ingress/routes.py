"""POST /api/v1/webhooks/onboard and …/batch: one signed event, or many."""

import logging
import time
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from ops_service.health import metrics
from ops_service.ingress import deliveries, rejected, schemas
from ops_service.ingress.body import read_body
from ops_service.ingress.networks import caller_address, is_allowed
from ops_service.ingress.rejected import Rejection
from ops_service.ingress.writer import Overloaded, Writer
from ops_service.problems import Problem, responses, unavailable
from ops_service.settings import Settings
from portal_hooks.contract import MAX_BATCH_BYTES, Envelope, InvalidEvent
from portal_hooks.instants import now_instant
from portal_hooks.signing import SignatureRejected, Verified, verify
from portal_hooks.strict_json import canonical_json
from projections.database import Database, DatabaseUnavailable
from projections.log import Delivery, Receipt

logger = logging.getLogger(__name__)

PATH = "/api/v1/webhooks/onboard"
CONFLICT = "This source has already sent other content under this event_id; the first is kept."

router = APIRouter(tags=["ingress"])


@router.post(
    PATH,
    status_code=201,
    responses={
        201: {"model": schemas.Receipt, "description": "New event, durably stored."},
        200: {"model": schemas.Receipt, "description": "The same event was stored before."},
        **responses(400, 401, 403, 408, 409, 413, 415, 422, 503),
    },
)
async def receive_event(request: Request) -> Response:
    """Take one event: native JSON or a structured CloudEvent, signed by Standard Webhooks."""
    settings: Settings = request.app.state.settings
    _check_network(request, settings)
    carrier = deliveries.single_carrier(request.scope["headers"])
    body = await read_body(request, settings.max_event_bytes)
    verified = _authenticate(request, body, settings)
    received_at = now_instant()
    try:
        envelope = deliveries.read_single(body, carrier, verified.webhook_id)
    except InvalidEvent as error:
        await _keep(request, verified, body, received_at, [Rejection(422, str(error))])
        raise Problem.from_invalid_event(error) from None
    [receipt] = await _store(request, [Delivery(verified.source, received_at, envelope)])
    metrics.EVENTS.labels(receipt.status).inc()
    if receipt.status == "conflict":
        await _keep(request, verified, body, received_at, [Rejection(409, CONFLICT)])
        raise Problem(409, CONFLICT, event_id=receipt.event_id, position=receipt.position)
    return _created(receipt) if receipt.status == "created" else _json(200, _facts(receipt))


@router.post(
    PATH + "/batch",
    status_code=200,
    responses={
        200: {"model": schemas.BatchResult, "description": "Every item is stored, now or before."},
        207: {
            "model": schemas.BatchResult,
            "description": "Some items were refused; the good ones are stored.",
        },
        **responses(400, 401, 403, 408, 413, 415, 422, 503),
    },
)
async def receive_batch(request: Request) -> Response:
    """Take up to 500 events, native or CloudEvents; the good ones are stored in one transaction."""
    settings: Settings = request.app.state.settings
    _check_network(request, settings)
    carrier = deliveries.batch_carrier(request.scope["headers"])
    body = await read_body(request, max(MAX_BATCH_BYTES, settings.max_event_bytes))
    verified = _authenticate(request, body, settings)
    received_at = now_instant()
    try:
        items = deliveries.read_batch(body, carrier, settings.max_event_bytes)
    except InvalidEvent as error:
        await _keep(request, verified, body, received_at, [Rejection(422, str(error))])
        raise Problem.from_invalid_event(error) from None
    good = [Delivery(verified.source, received_at, item) for item in items if isinstance(item, Envelope)]
    receipts = iter(await _store(request, good) if good else [])
    results = [_result(next(receipts) if isinstance(item, Envelope) else item) for item in items]
    for result in results:
        metrics.EVENTS.labels(result["status"]).inc()
    refused = [result for result in results if "detail" in result]
    if refused:
        rejections = [Rejection(409 if "position" in item else 422, item["detail"]) for item in refused]
        await _keep(request, verified, body, received_at, rejections)
    return _json(207 if refused else 200, {"results": results})


def _check_network(request: Request, settings: Settings) -> None:
    client = request.client
    forwarded = [value for name, value in request.scope["headers"] if name == b"x-forwarded-for"]
    address = caller_address(client.host if client else "", forwarded, settings.trusted_proxies)
    if not is_allowed(address, settings.allowed_networks):
        raise Problem(403, "This address is outside the allowed networks.", headers={"Connection": "close"})


def _authenticate(request: Request, body: bytes, settings: Settings) -> Verified:
    try:
        return verify(request.scope["headers"], body, settings.webhook_secrets, time.time())
    except SignatureRejected as error:
        # The server sends `Date` with every answer, so a sender sees when its own clock is off.
        metrics.SIGNATURES_REJECTED.labels(error.reason).inc()
        raise Problem(401, str(error)) from None


async def _store(request: Request, found: list[Delivery]) -> list[Receipt]:
    writer: Writer = request.app.state.writer
    try:
        return await writer.submit(found)
    except Overloaded:
        raise unavailable("Too many events are waiting; send this one again.") from None


async def _keep(
    request: Request, verified: Verified, body: bytes, received_at: int, rejections: list[Rejection]
) -> None:
    """Keep a refused delivery. A database that cannot take it must not change the answer."""
    database: Database = request.app.state.database

    def keep() -> None:
        with database.write() as connection:
            rejected.record(connection, verified.source, verified.webhook_id, body, received_at, rejections)

    try:
        await run_in_threadpool(keep)
    except DatabaseUnavailable as error:
        logger.warning("a refused delivery of %s could not be kept: %s", verified.source, error)


def _result(item: Receipt | deliveries.InvalidItem) -> dict[str, Any]:
    if isinstance(item, deliveries.InvalidItem):
        return {"event_id": item.event_id, "status": "invalid", "detail": item.detail}
    detail = {"detail": CONFLICT} if item.status == "conflict" else {}
    return {**_facts(item), **detail}


def _facts(receipt: Receipt) -> dict[str, Any]:
    return {"status": receipt.status, "event_id": receipt.event_id, "position": receipt.position}


def _created(receipt: Receipt) -> Response:
    response = _json(201, _facts(receipt))
    response.headers["Location"] = f"/api/v1/events/{receipt.position}"
    return response


def _json(status: int, value: dict[str, Any]) -> Response:
    return Response(canonical_json(value), status, media_type="application/json")
