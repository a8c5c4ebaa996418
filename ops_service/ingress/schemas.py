"""The ingress's answers."""

from typing import Literal

from pydantic import BaseModel


class Receipt(BaseModel):
    """What became of one event; `position` is the first one's for a duplicate."""

    status: Literal["created", "duplicate"]
    event_id: str
    position: int


class BatchItem(BaseModel):
    """What became of one item of a batch."""

    event_id: str | None
    status: Literal["created", "duplicate", "conflict", "invalid"]
    position: int | None = None
    detail: str | None = None


class BatchResult(BaseModel):
    """One result for each item, in order."""

    results: list[BatchItem]
