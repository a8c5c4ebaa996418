"""CloudEvents 1.0 in JSON: how one becomes a native envelope. Nothing that is missing is invented."""

from typing import Any, Final

from portal_hooks.contract import FieldError, InvalidEvent
from projections.envelope import Envelope, parse_envelope

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

CARRIER: Final = frozenset({"source", "specversion", "datacontenttype", "dataschema"})
"""Attributes that describe the carrier: the same event sent natively has the same content without them."""

RENAMED: Final[dict[str, str]] = {
    "id": "event_id",
    "type": "event_type",
    "subject": "session_id",
    "time": "occurred_at",
}
NATIVE: Final = {native: name for name, native in RENAMED.items()}


def parse_cloudevent(value: Any) -> Envelope:
    """Read a structured CloudEvent from parsed JSON. Raises InvalidEvent, with CloudEvents' own names."""
    native = to_native(value)
    try:
        return parse_envelope(native, CARRIER)
    except InvalidEvent as error:
        raise InvalidEvent(rename_pointers(error.errors)) from None


def to_native(value: Any) -> dict[str, Any]:
    """The native form of a parsed CloudEvent. Raises InvalidEvent.

    Only what CloudEvents itself demands is checked here; the values are judged as in native envelopes.
    """
    if not isinstance(value, dict):
        raise InvalidEvent([FieldError("", "must be a JSON object")])
    errors = [FieldError(f"/{name}", "is required") for name in RENAMED if value.get(name) is None]
    if value.get("specversion") != "1.0":
        errors.append(FieldError("/specversion", 'must be "1.0"'))
    if not isinstance(value.get("source"), str) or not value["source"]:
        errors.append(FieldError("/source", "is required"))
    if "data_base64" in value:
        errors.append(FieldError("/data_base64", "is not accepted; send `data` as a JSON object"))
    errors += [FieldError(f"/{name}", "is no CloudEvents attribute") for name in NATIVE if name in value]
    if errors:
        raise InvalidEvent(errors)
    return {RENAMED.get(str(name), str(name)): item for name, item in value.items()}


def rename_pointers(errors: list[FieldError]) -> list[FieldError]:
    """Errors of the native form, with the names the CloudEvent had."""
    return [
        FieldError(f"/{NATIVE.get(error.pointer[1:], error.pointer[1:])}", error.detail) for error in errors
    ]
