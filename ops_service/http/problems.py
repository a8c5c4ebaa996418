"""Every error of the service as RFC 9457 `application/problem+json`, rendered in this one place.

No answer echoes what the caller sent.
"""

import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from ops_service import metrics
from ops_service.http.sparing_log import SparingLog
from portal_hooks.contract import FieldError
from projections.database.database import DatabaseUnavailable

_refusals = SparingLog(logging.getLogger(__name__))

MEDIA_TYPE = "application/problem+json"
CLOSE = {"Connection": "close"}
"""For an answer after which the connection carries no other request: what came of a body is not read."""
RETRY_AFTER_SECONDS = "2"


class Problem(Exception):
    """A refusal with its status; raised anywhere, rendered here."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: list[FieldError] | None = None,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers
        self.extra = extra

    @classmethod
    def wrong(cls, *errors: FieldError, **extra: Any) -> "Problem":
        """422 for parameters, or for fields of a body."""
        return cls(422, "The request has wrong parameters or fields.", errors=list(errors), **extra)


class FieldErrorBody(BaseModel):
    """One wrong field."""

    pointer: str
    detail: str


class ProblemBody(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldErrorBody] | None = None
    code: str | None = Field(None, description="Tells refusals of one status apart, where that matters.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI descriptions of the problems a route answers with."""
    schema = {"schema": {"$ref": "#/components/schemas/ProblemBody"}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}}
        for status in statuses
    }


def render(problem: Problem) -> JSONResponse:
    """The response for a problem."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors is not None:
        body["errors"] = [error._asdict() for error in problem.errors]
    return JSONResponse(
        body | problem.extra,
        status_code=problem.status,
        headers=dict(problem.headers or {}),
        media_type=MEDIA_TYPE,
    )


def unavailable(detail: str, **extra: Any) -> Problem:
    """503: the same request may succeed soon."""
    return Problem(503, detail, headers={"Retry-After": RETRY_AFTER_SECONDS}, **extra)


def render_unavailable(error: DatabaseUnavailable) -> JSONResponse:
    """The response when the database cannot be used right now."""
    metrics.UNAVAILABLE.inc()
    _refusals.warning("the database cannot be used right now: %s", error)
    return render(unavailable("The database is busy or out of reach; try again."))


def install(app: FastAPI) -> None:
    """Render every error of `app` as a problem."""

    _describe(app)

    @app.exception_handler(Problem)
    async def _problem(_request: Request, error: Problem) -> JSONResponse:
        return render(error)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        phrase = HTTPStatus(error.status_code).phrase
        headers = {"Allow": ", ".join(_allowed(request))} if error.status_code == 405 else error.headers
        return render(Problem(error.status_code, f"{phrase}.", headers=headers))

    @app.exception_handler(RequestValidationError)
    async def _parameters(_request: Request, error: RequestValidationError) -> JSONResponse:
        if any(found["type"] == "json_invalid" for found in error.errors()):
            return render(Problem(400, "The body is not JSON."))
        return render(Problem.wrong(*map(_field_error, error.errors())))

    @app.exception_handler(DatabaseUnavailable)
    async def _database(_request: Request, error: DatabaseUnavailable) -> JSONResponse:
        return render_unavailable(error)

    @app.exception_handler(Exception)
    async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
        # The error goes on to the server, which ends the connection.
        return render(Problem(500, "This is a fault of the service; its log has the details.", headers=CLOSE))


def _describe(app: FastAPI) -> None:
    """Put the schema that all problem responses refer to into the OpenAPI document."""
    document_of = app.openapi

    def openapi() -> dict[str, Any]:
        document = document_of()
        schema = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
        parts = schema.pop("$defs")
        document["components"]["schemas"].update({**parts, "ProblemBody": schema})
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the documented way


def _allowed(request: Request) -> Iterator[str]:
    """The methods of all routes of the path; the framework tells only of the first that it finds."""
    for method in ("DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"):
        asked = {**request.scope, "method": method}
        if any(route.matches(asked)[0] is Match.FULL for route in request.app.routes):
            yield method
            if method == "GET":
                yield "HEAD"


def _field_error(found: Mapping[str, Any]) -> FieldError:
    place = found["loc"][1:] if found["loc"][0] == "body" else found["loc"]
    return FieldError("".join(f"/{part}" for part in place), found["msg"].removeprefix("Value error, "))
