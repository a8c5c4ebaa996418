"""JSON Schemas of what the ingress takes, from the code that judges it: for OpenAPI and docs/contracts."""

import re
from typing import Any, Final

from ops_service.ingress import cloudevents
from portal_hooks import contract, instants, signing
from portal_hooks.strict_json import MAX_DEPTH

Schema = dict[str, Any]

NOT_IN_SCHEMA: Final = (
    "A schema cannot say all. The bytes are UTF-8 without a byte-order mark, at most"
    f" {contract.MAX_EVENT_BYTES} of them for one event, nested at most {MAX_DEPTH} deep, without duplicate"
    " keys, NaN, NUL, lone surrogates or integers beyond 64 bits. The time must be possible."
)


def whole(form: re.Pattern[str]) -> str:
    r"""The pattern in ECMA 262, for the whole string; `\d` means other digits too in some dialects."""
    return f"^{form.pattern.replace(chr(92) + 'd', '[0-9]')}$"


def event_schema() -> Schema:
    """One native event."""
    identifier = {"type": "string", "pattern": whole(contract.IDENTIFIER)}
    return {
        "title": "Onboarding event",
        "description": NOT_IN_SCHEMA,
        "type": "object",
        "required": ["event_id", "event_type", "session_id", "occurred_at"],
        "properties": {
            "event_id": identifier | {"description": "Unique per source; equals the header webhook-id."},
            "event_type": {
                "type": "string",
                "pattern": whole(contract.EVENT_TYPE),
                "description": "Unknown types are stored and shown, and move no stage.",
                "examples": list(contract.EVENT_TYPES),
            },
            "session_id": identifier | {"description": "The wizard session."},
            "occurred_at": _time("When it happened, with an offset; digits past microseconds are cut."),
            "domain": {
                "type": ["string", "null"],
                "minLength": 1,
                "description": "A host name; stored in lower-case A-label form without a trailing dot.",
            },
            "data": {"type": ["object", "null"], "description": "What else is known of the moment."},
        },
        "additionalProperties": True,
    }


def cloudevent_schema() -> Schema:
    """One structured CloudEvent: the native event under CloudEvents' names."""
    native: Schema = event_schema()["properties"]
    properties = {ours: native[theirs] for ours, theirs in cloudevents.RENAMED.items()}
    return {
        "title": "Onboarding event as a CloudEvent 1.0",
        "description": NOT_IN_SCHEMA,
        "type": "object",
        "required": ["specversion", "source", *cloudevents.RENAMED],
        "properties": {
            "specversion": {"const": "1.0"},
            "source": {"type": "string", "minLength": 1, "description": "Kept in the payload."},
            **properties,
            "domain": native["domain"],
            "data": native["data"],
            "data_base64": False,
            **dict.fromkeys(cloudevents.NATIVE, False),
        },
        "additionalProperties": True,
    }


def batch_schema(item: Schema) -> Schema:
    """A batch. Each item is judged by itself; an item that is no event does not spoil the others."""
    return {
        "title": f"Batch: {item['title']}",
        "description": f"At most {contract.MAX_BATCH_BYTES} bytes as a whole.",
        "type": "array",
        "maxItems": contract.MAX_BATCH_ITEMS,
        "items": item,
    }


def _time(description: str) -> Schema:
    # The pattern allows what `format: date-time` does not assert by itself in this dialect.
    return {
        "type": "string",
        "format": "date-time",
        "pattern": whole(instants.RFC3339),
        "description": description,
    }


def signature_headers() -> Schema:
    """The headers of Standard Webhooks that every delivery carries."""
    token = "v1,[A-Za-z0-9+/]{43}="
    patterns = {
        "webhook-id": whole(re.compile(signing.WEBHOOK_ID.pattern.decode())),
        "webhook-timestamp": f"^(?:{signing.TIMESTAMP.pattern.decode()})$",
        "webhook-signature": f"^{token}( {token}){{0,{signing.MAX_SIGNATURES - 1}}}$",
    }
    return {
        "type": "object",
        "required": list(patterns),
        "properties": {name: {"type": "string", "pattern": pattern} for name, pattern in patterns.items()},
    }


def request_body(single: bool) -> Schema:
    """OpenAPI's description of what a route takes, for `openapi_extra`."""
    native, cloudevent = event_schema(), cloudevent_schema()
    schemas = {"application/json": native, cloudevents.STRUCTURED: cloudevent}
    if not single:
        schemas = {"application/json": batch_schema(native), cloudevents.BATCH: batch_schema(cloudevent)}
    headers = signature_headers()["properties"].items()
    return {
        "requestBody": {
            "required": True,
            "content": {media_type: {"schema": schema} for media_type, schema in schemas.items()},
        },
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": schema} for name, schema in headers
        ],
    }
