"""Reading a delivery's body: never more of it in memory than the limit. The server bounds its time."""

from fastapi import Request

from ops_service.http.problems import CLOSE, Problem


async def read_body(request: Request, limit: int) -> bytes:
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
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        is_whole = not message.get("more_body", False)
    return bytes(body)


def _too_large(limit: int) -> Problem:
    return Problem(413, f"The body is larger than {limit} bytes.", headers=CLOSE)
