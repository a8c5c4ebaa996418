"""Writes docs/contracts: JSON Schemas and the AsyncAPI document, made from the code they describe.

`make contracts` writes them.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import yaml  # type: ignore[import-untyped]

from ops_service.http.problems import MEDIA_TYPE as PROBLEM
from ops_service.http.problems import ProblemBody
from ops_service.ingress import cloudevents, routes, schemas
from ops_service.ingress.event_schemas import (
    Schema,
    batch_schema,
    cloudevent_schema,
    event_schema,
    signature_headers,
)
from portal_hooks import contract

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "contracts"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

EMITTED: Final[dict[str, tuple[str, Schema]]] = {
    contract.STARTED: ("A customer validates a domain for the first time in the session.", {}),
    contract.DOMAIN_VALIDATED: (
        "The domain is valid.",
        {
            "domain": {"type": "string"},
            "mx": {"description": "The mail exchangers."},
        },
    ),
    contract.DNS_APPLIED: (
        "At least one DNS record was applied.",
        {"applied": {"type": "array", "minItems": 1}, "provider": {"type": "string"}},
    ),
    contract.ACCOUNT_CREATED: (
        "The mail account was created.",
        {"account": {"type": "string"}, "email": {"type": "string"}},
    ),
    contract.INFRA_SYNCED: ("The infrastructure was provisioned.", {"success": {"type": "boolean"}}),
    contract.COMPLETED: (
        "The wizard ended well.",
        {"infra_status": {"description": "ok, success, synced, error, failed, warn, skipped, disabled, …"}},
    ),
    contract.FAILED: (
        "A step failed, or a critical request was refused.",
        {"step": {"type": "string"}, "code": {"type": "string"}, "reason": {"type": "string"}},
    ),
}
"""When the portal emits each event, and what its `data` usually holds; none of it is demanded."""


def asyncapi() -> Schema:
    """AsyncAPI 3.0, from the side of the service: it receives."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Onboarding funnel webhooks",
            "version": "1.0.0",
            "description": "Signed events of the onboarding portal; see webhook-funnel-events.md.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "event": {
                "address": routes.PATH,
                "description": "One event for each request.",
                "messages": _references(*map(_key, EMITTED), "cloudEvent"),
            },
            "batch": {
                "address": routes.BATCH_PATH,
                "description": f"Up to {contract.MAX_BATCH_ITEMS} events for each request.",
                "messages": _references("batch", "cloudEventBatch"),
            },
        },
        "operations": {name: _operation(name) for name in ("event", "batch")},
        "components": {
            "messages": _messages(),
            "messageTraits": {"signed": {"headers": signature_headers()}},
            "schemas": {"eventOfAnyType": {"$ref": "event.schema.json"}},
        },
    }


def _references(*messages: str) -> Schema:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in messages}


def _operation(channel: str) -> Schema:
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": f"Take one signed {channel}; a 2xx comes after it is durably stored.",
        "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
    }


def _messages() -> Schema:
    others = {
        "cloudEvent": (cloudevents.STRUCTURED, "A structured CloudEvent.", "cloudevent.schema.json"),
        "batch": ("application/json", "Native events.", "batch.schema.json"),
        "cloudEventBatch": (cloudevents.BATCH, "CloudEvents.", "cloudevents-batch.schema.json"),
    }
    return {_key(name): _native_message(name) for name in EMITTED} | {
        name: {
            "contentType": media_type,
            "summary": summary,
            "payload": {"$ref": file},
            "traits": [{"$ref": "#/components/messageTraits/signed"}],
        }
        for name, (media_type, summary, file) in others.items()
    }


def _native_message(event_type: str) -> Schema:
    summary, data = EMITTED[event_type]
    stage = contract.STAGE_OF.get(event_type, contract.FAILED_STAGE)
    properties: Schema = {"event_type": {"const": event_type}}
    if data:
        properties["data"] = {"type": ["object", "null"], "properties": data}
    return {
        "name": event_type,
        "title": event_type,
        "summary": f"{summary} Sets the stage {stage}.",
        "contentType": "application/json",
        "payload": {"allOf": [{"$ref": "event.schema.json"}, {"type": "object", "properties": properties}]},
        "traits": [{"$ref": "#/components/messageTraits/signed"}],
    }


def _key(event_type: str) -> str:
    head, *rest = re.split(r"[._]", event_type)
    return head + "".join(map(str.capitalize, rest))


def _file(name: str, schema: Schema) -> str:
    return json.dumps({"$schema": DIALECT, "$id": name, **schema}, indent=2, ensure_ascii=False) + "\n"


_SCHEMAS: Final[dict[str, Callable[[], Schema]]] = {
    "event.schema.json": event_schema,
    "batch.schema.json": lambda: batch_schema(event_schema()),
    "cloudevent.schema.json": cloudevent_schema,
    "cloudevents-batch.schema.json": lambda: batch_schema(cloudevent_schema()),
    "receipt.schema.json": schemas.Receipt.model_json_schema,
    "batch-result.schema.json": schemas.BatchResult.model_json_schema,
    "problem.schema.json": lambda: ProblemBody.model_json_schema() | {"title": PROBLEM},
}


def documents() -> dict[str, str]:
    """Every generated file of docs/contracts: its name and its text."""
    texts = {name: _file(name, make()) for name, make in _SCHEMAS.items()}
    # Through JSON, so that no object occurs twice: YAML would point from the second to the first.
    plain = json.loads(json.dumps(asyncapi()))
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110)
    return texts | {"asyncapi.yaml": f"# Made by scripts/contract_documents.py.\n{text}"}


def differing(folder: Path = FOLDER) -> list[str]:
    """The files that are missing from the folder or say other than the code."""
    texts = documents()
    return [
        name
        for name, text in texts.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]


def main() -> None:
    """Write the files that differ from the code."""
    texts = documents()
    for name in differing():
        (FOLDER / name).write_text(texts[name], encoding="utf-8")


if __name__ == "__main__":
    main()
