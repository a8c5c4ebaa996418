"""The session cookie: never readable by scripts, never sent by other sites' pages.

The page itself is static, so SameSite=Strict costs nothing: a link from a mail opens it, and its own requests
carry the cookie. Over https the cookie is Secure and bound to this host by the `__Host-` prefix; on a plain
http network a browser would refuse such a cookie, so it has another name there.
"""

from typing import Final

from fastapi import Request, Response

from ops_service.http.request_origin import is_https
from portal_hooks.instants import HOUR

NAME: Final = "ops_session"
SECURE_NAME: Final = f"__Host-{NAME}"


def read(request: Request) -> str | None:
    """The cookie's value. A cookie that came over http never counts over https."""
    return request.cookies.get(_name(request))


def give(request: Request, response: Response, cookie: str) -> None:
    """Set the cookie for as long as a session may last."""
    seconds = request.app.state.settings.session_hours * HOUR // 1_000_000
    response.set_cookie(
        _name(request),
        cookie,
        max_age=seconds,
        httponly=True,
        secure=is_https(request),
        samesite="strict",
    )


def take_away(request: Request, response: Response) -> None:
    """Remove the cookie from the browser."""
    response.delete_cookie(_name(request), httponly=True, secure=is_https(request), samesite="strict")


def _name(request: Request) -> str:
    return SECURE_NAME if is_https(request) else NAME
