"""The ingress's way past the framework: same paths, same handlers, nothing in between.

There is nothing for FastAPI to match, solve or validate in a signed delivery, and its machinery would cost
more than the signature, the parsing and the answer together. The routes stay declared, for OpenAPI and for
all other methods.
"""

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ops_service.http import problems
from ops_service.ingress import routes
from projections.database.database import DatabaseUnavailable

_ENDPOINTS = {routes.PATH: routes.receive_event, routes.BATCH_PATH: routes.receive_batch}


class IngressShortcut:
    """Answers deliveries itself; everything else goes on to the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = _ENDPOINTS.get(scope.get("path", ""))
        if endpoint is None or scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            response = await endpoint(Request(scope, receive))
        except problems.Problem as problem:
            response = problems.render(problem)
        except DatabaseUnavailable as error:
            response = problems.render_unavailable(error)
        await response(scope, receive, send)
