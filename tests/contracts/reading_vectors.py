"""docs/contracts/reading-vectors.json: bodies, and what a receiver must answer to each."""

import base64
import json
from pathlib import Path
from typing import Any, Final, NamedTuple

CONTRACTS: Final = Path(__file__).resolve().parents[2] / "docs" / "contracts"


class Vector(NamedTuple):
    """One body; `expected` holds the members that only some vectors have."""

    name: str
    body: bytes
    media_type: str
    webhook_id: str
    status: int
    expected: dict[str, Any]


def load() -> list[Vector]:
    """All vectors, in the file's order: later ones may repeat the event of an earlier one."""
    document = json.loads((CONTRACTS / "reading-vectors.json").read_text(encoding="utf-8"))
    return [_vector(item) for item in document["vectors"]]


def _vector(item: dict[str, Any]) -> Vector:
    usual = {"media_type": "application/json", "webhook_id": "v-refused"} | item
    return Vector(
        item["name"], _body(item), usual["media_type"], usual["webhook_id"], item["status"], expected=item
    )


def _body(item: dict[str, Any]) -> bytes:
    if "body_base64" in item:
        return base64.b64decode(item["body_base64"], validate=True)
    if "parts" in item:
        return "".join(text * times for text, times in item["parts"]).encode()
    return str(item["body"]).encode()
