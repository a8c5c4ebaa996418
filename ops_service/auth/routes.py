"""/api/v1/auth: signing in and out, who one is, one's password, one-time links."""

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from ops_service.audit import log
from ops_service.auth import cookies, schemas, sessions, sign_in
from ops_service.auth.guard import LifetimeOf, Reader, guarded_router
from ops_service.http.parameters import DatabaseOf, Now
from ops_service.http.problems import Problem, responses
from ops_service.http.request_origin import address_of, is_from_our_page
from ops_service.principals import Principal
from portal_hooks.instants import DAY

router = guarded_router("/api/v1/auth", "people", responses=responses(403, 422, 503))


def visitor_of(request: Request, lifetime: LifetimeOf, now: Now) -> sign_in.Visitor:
    """Who knocks. Another site's page must not sign its visitors in here either."""
    if is_from_our_page(request) is False:
        raise Problem(403, "Only our own page may sign anybody in.")
    settings = request.app.state.settings
    audit_since = now - settings.audit_days * DAY if settings.audit_days else 0
    return sign_in.Visitor(address_of(request), cookies.read(request), lifetime, now, audit_since)


Visitor = Annotated[sign_in.Visitor, Depends(visitor_of)]


@router.post("/sign-in", responses=responses(400, 401, 408, 413, 429))
def post_sign_in(
    request: Request, response: Response, database: DatabaseOf, visitor: Visitor, body: schemas.SignIn
) -> schemas.Me:
    """Begin a session by name and password; the answer sets its cookie."""
    return _welcome(request, response, sign_in.by_password(database, body.name, body.password, visitor))


@router.post("/link", responses=responses(400, 408, 410, 413))
def look_at_link(
    database: DatabaseOf, _visitor: Visitor, now: Now, body: schemas.LinkSecret
) -> schemas.LinkTarget:
    """Whom a one-time link is for; this does not use it."""
    return schemas.LinkTarget(name=sign_in.look_at_link(database, body.link, now).name)


@router.post("/link/redeem", responses=responses(400, 408, 409, 410, 413))
def redeem_link(
    request: Request, response: Response, database: DatabaseOf, visitor: Visitor, body: schemas.LinkRedemption
) -> schemas.Me:
    """Use a one-time link: choose a password, and be signed in."""
    return _welcome(
        request, response, sign_in.by_link(database, body.link, body.name, body.password, visitor)
    )


@router.get("/me", responses=responses(401))
def read_me(reader: Reader) -> schemas.Me:
    """Who asks, and what they may do."""
    return _me(reader)


@router.post("/password", responses=responses(400, 401, 408, 413, 429))
def change_password(
    request: Request,
    response: Response,
    reader: Reader,
    database: DatabaseOf,
    visitor: Visitor,
    body: schemas.PasswordChange,
) -> schemas.Me:
    """Change one's own password; every other session ends, this one gets a new cookie."""
    _require_session(reader)
    changed = sign_in.change_password(database, reader, body.current, body.new, visitor)
    return _welcome(request, response, changed)


@router.post("/sign-out", status_code=204, response_class=Response, responses=responses(401))
def sign_out(
    request: Request,
    reader: Reader,
    database: DatabaseOf,
    now: Now,
    everywhere: Annotated[bool, Query(description="End all of one's sessions.")] = False,
) -> Response:
    """End this session, or all of one's own."""
    user_id = _require_session(reader)
    with database.write() as connection:
        if everywhere:
            sessions.end_all(connection, user_id)
        else:
            sessions.end(connection, reader.session_id)
        log.record(connection, reader, "signed_out", now, None, "everywhere" if everywhere else None)
    response = Response(status_code=204)
    cookies.take_away(request, response)
    return response


def _welcome(request: Request, response: Response, signed_in: sign_in.SignedIn) -> schemas.Me:
    cookies.give(request, response, signed_in.cookie)
    response.headers["Cache-Control"] = "no-store"
    return _me(signed_in.principal)


def _me(principal: Principal) -> schemas.Me:
    return schemas.Me.model_validate(
        {"name": principal.name, "kind": principal.kind, "scope": principal.scope}
    )


def _require_session(principal: Principal) -> int:
    if principal.user_id is None:
        raise Problem(403, "This is for operators who are signed in; an API token has no session.")
    return principal.user_id
