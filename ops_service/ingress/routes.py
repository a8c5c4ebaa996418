"""POST /api/v1/webhooks/onboard and …/batch: one signed event, or many."""

from typing import Any

from fastapi import APIRouter, Request, Response

from ops_service.http.problems import responses
from ops_service.ingress import schemas
from ops_service.ingress.deliveries import InvalidItem
from ops_service.ingress.event_schemas import request_body
from ops_service.ingress.receiver import CONFLICT, Receiver
from projections.canonical_json import canonical_json
from projections.log import Receipt

PATH = "/api/v1/webhooks/onboard"
BATCH_PATH = f"{PATH}/batch"


router = APIRouter(tags=["ingress"])

_REFUSALS = responses(400, 401, 403, 408, 413, 415, 422, 429, 503)


@router.post(
    PATH,
    status_code=201,
    responses={
        201: {"model": schemas.Receipt, "description": "New event, durably stored."},
        200: {"model": schemas.Receipt, "description": "The same event was stored before."},
        **_REFUSALS,
        **responses(409),
    },
    openapi_extra=request_body(single=True),
)
async def receive_event(request: Request) -> Response:
    """Take one event: native JSON or a structured CloudEvent, signed by Standard Webhooks."""
    receiver: Receiver = request.app.state.receiver
    receipt = await receiver.take_event(request)
    if receipt.status == "duplicate":
        return _json(200, receipt._asdict())
    return _json(201, receipt._asdict(), {"Location": f"/api/v1/events/{receipt.position}"})


@router.post(
    BATCH_PATH,
    responses={
        200: {"model": schemas.BatchResult, "description": "Every item is stored, now or before."},
        207: {"model": schemas.BatchResult, "description": "Some items were refused, the good ones stored."},
        **_REFUSALS,
    },
    openapi_extra=request_body(single=False),
)
async def receive_batch(request: Request) -> Response:
    """Take up to 500 events, native or CloudEvents; the good ones are stored in one transaction."""
    receiver: Receiver = request.app.state.receiver
    results = [_result(item) for item in await receiver.take_batch(request)]
    refused = any("detail" in result for result in results)
    return _json(207 if refused else 200, {"results": results})


@router.options(PATH, status_code=200, response_class=Response)
@router.options(BATCH_PATH, status_code=200, response_class=Response)
async def shake_hands(request: Request) -> Response:
    """The abuse-protection handshake of CloudEvents' HTTP webhooks: deliveries are welcome from whoever calls
    from the allowed networks and can sign them."""
    request.app.state.receiver.require_allowed(request)
    headers = {"Allow": "POST, OPTIONS"}
    if "webhook-request-origin" in request.headers:
        headers |= {"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "*"}
    return Response(headers=headers)


def _result(item: Receipt | InvalidItem) -> dict[str, Any]:
    if isinstance(item, InvalidItem):
        return {"event_id": item.event_id, "status": "invalid", "detail": item.detail}
    return {**item._asdict(), **({"detail": CONFLICT} if item.status == "conflict" else {})}


def _json(status: int, value: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(canonical_json(value), status, headers, media_type="application/json")
