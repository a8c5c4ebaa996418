"""The reference portal as an application: the wizard's endpoints, its page, and the hooks' life."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from portal_hooks.moments import OnboardMoments
from portal_hooks.reference_portal import problems, wizard

STATIC = Path(__file__).parent / "static"
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def create_app(hooks: OnboardMoments, desk_url: str | None = None) -> FastAPI:
    """The portal, reporting to `hooks`, which it closes when it stops. `desk_url` is where Ops shows it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        hooks.start()
        yield
        await run_in_threadpool(hooks.close)

    # No interactive documentation: its pages load scripts from other hosts.
    app = FastAPI(title="Onboarding portal (reference)", lifespan=lifespan, docs_url=None, redoc_url=None)
    problems.install(app)
    app.middleware("http")(_finish)
    app.include_router(wizard.routes(hooks))

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @app.get("/status")
    def status() -> dict[str, Any]:
        """What became of the events, and where the desk is."""
        return {"desk_url": desk_url, "events": asdict(hooks.stats())}

    app.mount("/static", StaticFiles(directory=STATIC))
    return app


async def _finish(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    if response.status_code == 413:  # the framework's own answer is plain text
        detail = f"A request has at most {wizard.MAX_REQUEST_BYTES} bytes."
        response = problems.problem(413, "Too large", detail)
    response.headers.update(SECURITY_HEADERS)
    return response
