"""Errors as RFC 9457 problem bodies; they never repeat what was sent."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException


class Problem(Exception):
    """An answer that says what went wrong; `extra` becomes members of the body."""

    def __init__(self, status: int, title: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.extra = extra


def install(app: FastAPI) -> None:
    """Answer every error of `app` as a problem."""
    app.exception_handler(Problem)(_on_problem)
    app.exception_handler(HTTPException)(_on_http_error)
    app.exception_handler(RequestValidationError)(_on_invalid_request)


def problem(status: int, title: str, detail: str, **extra: Any) -> JSONResponse:
    """One problem body."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **extra}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


async def _on_problem(_: Request, error: Problem) -> JSONResponse:
    return problem(error.status, error.title, error.detail, **error.extra)


async def _on_http_error(_: Request, error: HTTPException) -> JSONResponse:
    return problem(error.status_code, error.detail, error.detail)


async def _on_invalid_request(_: Request, error: RequestValidationError) -> JSONResponse:
    errors = [{"pointer": _pointer(item["loc"]), "detail": item["msg"]} for item in error.errors()]
    return problem(422, "Invalid request", "Some fields of the request are wrong.", errors=errors)


def _pointer(location: tuple[int | str, ...]) -> str:
    # The first part says "body"; text that is no JSON is located by an offset, which is no pointer.
    return "".join(f"/{part}" for part in location[1:] if isinstance(part, str))
