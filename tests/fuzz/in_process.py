"""The application driven as a server drives it, without sockets: many requests in little time."""

from typing import Any, NamedTuple

from fastapi import FastAPI

from tests.fuzz.mutations import Sent


class Answer(NamedTuple):
    """What the application sent back, whole."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


async def ask(app: FastAPI, sent: Sent) -> Answer:
    """The answer to one request. Raises what the application raises."""
    chunks = iter(sent.chunks)
    left = len(sent.chunks)

    async def receive() -> dict[str, Any]:
        nonlocal left
        left -= 1
        if left < 0:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": next(chunks), "more_body": left > 0 or not sent.complete}

    messages: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await app(_scope(sent), receive, send)
    assert messages[0]["type"] == "http.response.start"
    body = b"".join(message.get("body", b"") for message in messages[1:])
    return Answer(messages[0]["status"], dict(messages[0]["headers"]), body)


def _scope(sent: Sent) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": sent.method,
        "scheme": "http",
        "path": sent.path,
        "raw_path": sent.path.encode("utf-8", "surrogateescape"),
        "query_string": b"",
        "root_path": "",
        "headers": sent.headers,
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8080),
        "state": {},
    }
