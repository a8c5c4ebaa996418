"""Reading a delivery's body: each has a limit, and all together have one. The server bounds its time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from fastapi import Request

from ops_service.http.problems import CLOSE, RETRY_AFTER_SECONDS, Problem

ROOM_BYTES: Final = 64 * 1024 * 1024
"""For the bodies of all deliveries that are being read or answered, in one process."""
ROOM_FOR_LARGE_BYTES: Final = 48 * 1024 * 1024
"""What large ones may fill of it: those who hold them back shall not keep single events out."""
LARGE_BYTES: Final = 64 * 1024

Grow = Callable[[int], None]
"""Told of each piece of a body before it is kept; raises Problem 503 where there is no room for it."""


class Room:
    """Counts the bytes of all bodies. Belongs to the event loop."""

    def __init__(self) -> None:
        self.held = 0

    @contextmanager
    def for_body(self) -> Iterator[Grow]:
        """Room for one body, given back when the block ends."""
        size = 0

        def grow(more: int) -> None:
            nonlocal size
            if self.held + more > (ROOM_FOR_LARGE_BYTES if size + more > LARGE_BYTES else ROOM_BYTES):
                raise _no_room()
            size += more
            self.held += more

        try:
            yield grow
        finally:
            self.held -= size


async def read_body(request: Request, limit: int, grow: Grow) -> bytes:
    """The whole body. Raises Problem 413 as soon as it is known to be over `limit` bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        raise _too_large(limit)
    body = bytearray()
    is_whole = False
    while not is_whole:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "The body ended before it was complete.", headers=CLOSE)
        piece = message.get("body", b"")
        if len(body) + len(piece) > limit:
            raise _too_large(limit)
        grow(len(piece))
        body += piece
        is_whole = not message.get("more_body", False)
    return bytes(body)


def _no_room() -> Problem:
    headers = {"Retry-After": RETRY_AFTER_SECONDS, **CLOSE}
    return Problem(503, "Too many large deliveries are being read; send this one again.", headers=headers)


def _too_large(limit: int) -> Problem:
    return Problem(413, f"The body is larger than {limit} bytes.", headers=CLOSE)
