"""Reading a request's body: never more of it in memory than the limit, never longer than the deadline."""

import asyncio
from typing import Final

from fastapi import Request
from starlette.types import Receive

from ops_service.problems import Problem

DEADLINE_SECONDS: Final = 15
CLOSE: Final = {"Connection": "close"}
"""The rest of a refused body is not read, so that its connection cannot carry another request."""


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises Problem 413 as soon as it is known to be over `limit` bytes, 408 when slow."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        raise _too_large(limit)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await _collect(request.receive, limit)
    except TimeoutError:
        raise Problem(
            408, f"The body did not arrive within {DEADLINE_SECONDS} seconds.", headers=CLOSE
        ) from None


async def _collect(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    is_whole = False
    while not is_whole:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "The body ended before it was complete.", headers=CLOSE)
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        is_whole = not message.get("more_body", False)
    return bytes(body)


def _too_large(limit: int) -> Problem:
    return Problem(413, f"The body is larger than {limit} bytes.", headers=CLOSE)
