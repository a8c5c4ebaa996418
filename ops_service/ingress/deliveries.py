"""From verified bytes to deliveries: media types, carriers, envelopes. Pure."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ops_service.http.problems import Problem
from ops_service.ingress import cloudevents
from portal_hooks.contract import IDENTIFIER, MAX_BATCH_ITEMS, FieldError, InvalidEvent
from portal_hooks.strict_json import MAX_DEPTH, MalformedJson, read_json
from projections.canonical_json import canonical_json
from projections.envelope import Envelope, parse_envelope

JSON: Final = "application/json"

Headers = Sequence[tuple[bytes, bytes]]


class InvalidItem(NamedTuple):
    """An item of a batch that is no event."""

    event_id: str | None
    detail: str
    body: bytes
    """The item as canonical JSON."""


def single_carrier(headers: Headers) -> str:
    """The media type of a single event. Raises Problem 415."""
    media_type = _media_type(headers)
    if any(name.startswith(b"ce-") for name, _ in headers):
        raise Problem(
            415,
            "CloudEvents binary mode is not accepted: its ce-* headers lie outside what the signature covers."
            f" Send the event as {cloudevents.STRUCTURED}.",
        )
    if media_type in (JSON, cloudevents.STRUCTURED):
        return media_type
    raise Problem(415, f"Send one event as {JSON} or {cloudevents.STRUCTURED}, {_PLAIN}.")


def batch_carrier(headers: Headers) -> str:
    """The media type of a batch. Raises Problem 415."""
    media_type = _media_type(headers)
    if media_type in (JSON, cloudevents.BATCH):
        return media_type
    raise Problem(415, f"Send a batch as {JSON} or {cloudevents.BATCH}, {_PLAIN}.")


_PLAIN: Final = "in UTF-8, not compressed and with no other parameter than charset=utf-8"


def read_single(body: bytes, carrier: str, webhook_id: str) -> Envelope:
    """The one event of a delivery. Raises Problem 400 or 422."""
    value = _read(body)
    envelope = _envelope(value, carrier == cloudevents.STRUCTURED)
    if envelope.event_id != webhook_id:
        pointer = "/id" if carrier == cloudevents.STRUCTURED else "/event_id"
        raise InvalidEvent([FieldError(pointer, "must equal the header webhook-id")])
    return envelope


def read_batch(body: bytes, carrier: str, max_event_bytes: int) -> list[Envelope | InvalidItem]:
    """The items of a batch, in order. Raises Problem 400 or 422 when it is no batch at all."""
    values = _read(body, MAX_DEPTH + 1)
    if not isinstance(values, list):
        raise InvalidEvent([FieldError("", "must be a JSON array of events")])
    if len(values) > MAX_BATCH_ITEMS:
        raise InvalidEvent([FieldError("", f"must hold at most {MAX_BATCH_ITEMS} events")])
    return [_item(value, carrier == cloudevents.BATCH, max_event_bytes) for value in values]


def _item(value: Any, is_cloudevent: bool, max_event_bytes: int) -> Envelope | InvalidItem:
    try:
        envelope = _envelope(value, is_cloudevent)
    except InvalidEvent as error:
        given = value.get("id" if is_cloudevent else "event_id") if isinstance(value, dict) else None
        known = isinstance(given, str) and IDENTIFIER.fullmatch(given)
        return InvalidItem(given if known else None, str(error), canonical_json(value).encode())
    if len(body := envelope.payload.encode()) > max_event_bytes:
        return InvalidItem(envelope.event_id, f"the event is larger than {max_event_bytes} bytes", body)
    return envelope


def _envelope(value: Any, is_cloudevent: bool) -> Envelope:
    return cloudevents.parse_cloudevent(value) if is_cloudevent else parse_envelope(value)


def _read(body: bytes, max_depth: int = MAX_DEPTH) -> Any:
    try:
        return read_json(body, max_depth)
    except MalformedJson as error:
        raise Problem(400, f"The body is not acceptable JSON: {error}.") from None


def _media_type(headers: Headers) -> str:
    """Empty when it is not said once, or when the body is anything but that type in UTF-8."""
    given = [value for name, value in headers if name == b"content-type"]
    encoded = any(name == b"content-encoding" and value.lower() != b"identity" for name, value in headers)
    if len(given) != 1 or encoded:
        return ""
    media_type, _, parameters = given[0].decode("latin-1").lower().partition(";")
    charset = parameters.strip().replace('"', "")
    return media_type.strip() if charset in ("", "charset=utf-8") else ""
