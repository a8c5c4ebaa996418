"""The application: wires settings, database, writer and routes. The one place that knows them all."""

import gc
import logging
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.types import ASGIApp

from ops_service import metrics
from ops_service.auth import routes as auth
from ops_service.desk_files import DeskFiles
from ops_service.events import routes as events
from ops_service.export import routes as export
from ops_service.funnel import routes as funnel
from ops_service.health import routes as health
from ops_service.http import problems
from ops_service.http.body_limit import BodyLimit
from ops_service.http.connections import Connections, limits
from ops_service.http.head_requests import HeadAsGet
from ops_service.http.request_id import RequestId
from ops_service.http.server import CONNECTIONS
from ops_service.ingress import routes as ingress
from ops_service.ingress.receiver import Receiver
from ops_service.ingress.shortcut import IngressShortcut
from ops_service.ingress.writer import Writer
from ops_service.live import routes as live
from ops_service.live.feed import Feed
from ops_service.people import routes as people
from ops_service.quarantine import routes as quarantine
from ops_service.rejected import routes as rejected
from ops_service.sessions import routes as sessions
from ops_service.settings import Settings, load
from ops_service.tickets import routes as tickets
from ops_service.trend import routes as trend
from portal_hooks.instants import now_instant
from projections.database.database import Database

logger = logging.getLogger(__name__)

STOP_SECONDS: Final = 10
"""For what remains when all requests have ended; usually it takes a fraction of one."""

# Scripts and styles only from our own files, connections only to ourselves, never inside a frame.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

DESK_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

FRONTEND = Path(__file__).resolve().parent.parent / "frontend"


class Ops(FastAPI):
    """Names each request before anything else: the answers to faults are made outside of all middleware."""

    def build_middleware_stack(self) -> ASGIApp:
        """The application, as it is served."""
        return RequestId(super().build_middleware_stack())


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service. Its database must be migrated already."""
    settings = settings or load()
    app = Ops(
        title="Ops onboarding desk",
        version=version("ops-service"),
        description="Onboarding events, the funnel they make, and the tickets that follow from them.",
        lifespan=_lifespan,
        # Their pages load scripts from other hosts; /openapi.json is for any reader of OpenAPI.
        docs_url=None,
        redoc_url=None,
        # A sender that follows a redirect may drop the body: a wrong address is told as such.
        redirect_slashes=False,
        # Nothing here speaks OpenTelemetry, and looking for its providers would cost every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.settings = settings
    app.state.database = Database(settings.database_url)
    app.state.clock = now_instant
    problems.install(app)
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimit)
    app.add_middleware(IngressShortcut)
    api = (ingress, rejected, funnel, sessions, trend, events, quarantine, tickets, export, live, health)
    for module in (*api, auth, people):
        # Included, every application would build its own copy of each route, at its first request.
        app.router.routes.extend(module.router.routes)
    _serve_desk(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, Connections]]:
    writer = Writer(app.state.database, metrics.observe_group)
    app.state.receiver = Receiver(app.state.settings, writer, lambda: app.state.clock())
    settings = app.state.settings
    app.state.feed = Feed(app.state.database, settings.max_streams, settings.max_streams_of_one)
    writer.start()
    # What is loaded now stays: the collector need not go through it again and again, stopping all requests.
    gc.collect()
    gc.freeze()
    try:
        yield {CONNECTIONS: Connections(limits(settings.max_connections_of_one), settings.trusted_proxies)}
    finally:
        with _ending_in_any_case():
            await writer.stop()
            app.state.receiver.close()
            await app.state.feed.close()
            app.state.database.dispose()


@contextmanager
def _ending_in_any_case() -> Iterator[None]:
    """End the process where the block takes too long: who asks a database that has frozen waits for ever."""
    watchdog = threading.Timer(STOP_SECONDS, _end_at_once)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def _end_at_once() -> None:
    logger.critical("the database does not answer: ended without it; what was not acknowledged comes again")
    os._exit(1)


def _serve_desk(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(FRONTEND / "index.html", headers=DESK_HEADERS)

    app.mount("/static", DeskFiles(FRONTEND, DESK_HEADERS), name="static")
