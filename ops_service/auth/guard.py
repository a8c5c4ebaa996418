"""The guard in front of every route that is not public."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ops_service.auth.tokens import Principal, principal_of
from ops_service.problems import Problem
from projections.database import Database

_bearer = HTTPBearer(auto_error=False, description="An API token from `ops-service token create`.")

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def database_of(request: Request) -> Database:
    """The application's database."""
    database: Database = request.app.state.database
    return database


DatabaseOf = Annotated[Database, Depends(database_of)]


def requires(scope: str) -> Callable[..., Principal]:
    """A dependency that lets only principals with `scope` pass, and tells who it is."""

    def guard(database: DatabaseOf, credentials: Credentials) -> Principal:
        if credentials is None:
            raise _unauthorised("Send an API token as `Authorization: Bearer …`.")
        with database.read() as connection:
            principal = principal_of(connection, credentials.credentials)
        if principal is None:
            raise _unauthorised("This API token is not known.")
        if not principal.may(scope):
            raise Problem(403, f"This needs the scope {scope}; the token has {principal.scope}.")
        return principal

    return guard


Reader = Annotated[Principal, Depends(requires("read"))]
Editor = Annotated[Principal, Depends(requires("write"))]


def _unauthorised(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
