"""The guard in front of every route that is not public: an API token, or an operator's session."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from ops_service.auth import cookies, sessions, tokens
from ops_service.auth.secret_tokens import hash_of
from ops_service.http.parameters import database_of, now_of
from ops_service.http.problems import Problem, responses
from ops_service.http.request_origin import address_of, is_from_our_page
from ops_service.principals import Principal
from portal_hooks.contract import FieldError
from projections.database.database import DatabaseUnavailable

_SAFE: Final = ("GET", "HEAD", "OPTIONS")

AUTOMATIC: Final = "X-Automatic"
"""The header by which a page says that nobody asked for this: such a request keeps no session alive."""

_PRIVATE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""No cache on the way and no browser's disk keeps what only the signed-in may see."""

_bearer = HTTPBearer(auto_error=False, description="An API token from `ops-service token create`.")
_cookie = APIKeyCookie(
    name=cookies.NAME,
    auto_error=False,
    description=f"A session from /api/v1/auth/sign-in; over https the cookie is `{cookies.SECURE_NAME}`. An"
    " unsafe method needs Sec-Fetch-Site or Origin to show that our own page sends it.",
)


def lifetime_of(request: Request) -> sessions.Lifetime:
    """How long a session lasts here."""
    return sessions.Lifetime.of(request.app.state.settings)


LifetimeOf = Annotated[sessions.Lifetime, Depends(lifetime_of)]


class Guard:
    """A dependency that lets only principals with a scope pass, and tells who it is."""

    def __init__(self, scope: str, *, is_use: bool = True) -> None:
        """`is_use`: whether coming here keeps an operator's session from becoming idle."""
        self._scope = scope
        self._is_use = is_use

    async def __call__(
        self,
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
        _session: Annotated[str | None, Depends(_cookie)],
    ) -> Principal:
        if not hasattr(request.state, "principal"):
            request.state.principal = await run_in_threadpool(_authenticate, request, bearer, self._is_use)
        principal: Principal = request.state.principal
        if not principal.may(self._scope):
            raise Problem(403, f"This needs the scope {self._scope}; you have {principal.scope}.")
        return principal


class GuardedRoute(APIRoute):
    """Asks its guard before it looks at the request: who may not come in learns nothing about it. Then it
    refuses parameters that it does not know: to pass over a mistyped filter would answer another question."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        guards = [each.call for each in self.dependant.dependencies if isinstance(each.call, Guard)]
        known = frozenset(_parameters(self.dependant))

        async def guarded(request: Request) -> Response:
            for guard in guards:
                await guard(request, await _bearer(request), None)
            if not request.query_params.keys() <= known:
                told = ", ".join(sorted(known)) or "none"
                raise Problem.wrong(FieldError("/query", f"the parameters here are: {told}"))
            response = await answer(request)
            for name, value in _PRIVATE.items():
                response.headers.setdefault(name, value)
            return response

        return guarded


def _parameters(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def guarded_router(prefix: str, tag: str, **options: Any) -> APIRouter:
    """A router for routes that ask for a `Guard`, with the refusals they share."""
    with_refusals = {"responses": responses(401, 403, 422, 503), **options}
    return APIRouter(prefix=prefix, tags=[tag], route_class=GuardedRoute, **with_refusals)


Reader = Annotated[Principal, Depends(Guard("read"))]
Watcher = Annotated[Principal, Depends(Guard("read", is_use=False))]
"""A reader whose browser comes by itself."""
Editor = Annotated[Principal, Depends(Guard("write"))]
Admin = Annotated[Principal, Depends(Guard("admin"))]


async def is_still(principal: Principal, request: Request) -> bool:
    """Whether the request's credentials stand for the same as when it came; False also where nobody knows."""
    try:
        return await run_in_threadpool(_authenticate, request, await _bearer(request), False) == principal
    except (Problem, DatabaseUnavailable):
        return False


def credential_of(request: Request) -> bytes:
    """Tells apart the credentials by which requests came; never the credential itself."""
    return hash_of(request.headers.get("authorization") or cookies.read(request) or "")


def _authenticate(request: Request, bearer: HTTPAuthorizationCredentials | None, is_use: bool) -> Principal:
    return _by_token(request, bearer.credentials) if bearer else _by_session(request, is_use)


def _by_token(request: Request, token: str) -> Principal:
    with database_of(request).read() as connection:
        principal = tokens.principal_of(connection, token)
    if principal is None:
        raise _unauthorised("This API token is not known.")
    return principal._replace(address=address_of(request))


def _by_session(request: Request, is_use: bool) -> Principal:
    cookie = cookies.read(request)
    if not cookie:
        raise _unauthorised("Sign in, or send an API token as `Authorization: Bearer …`.")
    now = now_of(request)
    with database_of(request).read() as connection:
        found = sessions.find(connection, cookie, address_of(request), lifetime_of(request), now)
    if found is None:
        raise _unauthorised("This session has ended; sign in again.")
    # A browser adds the cookie to whatever request any page makes it send.
    if request.method not in _SAFE and not is_from_our_page(request):
        raise Problem(403, "With a session only our own page may change things; Origin does not show it.")
    if found.is_worth_noting and is_use and AUTOMATIC not in request.headers:
        with suppress(DatabaseUnavailable), database_of(request).write() as connection:
            sessions.note_use(connection, found.principal.session_id, now)
    return found.principal


def _unauthorised(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
