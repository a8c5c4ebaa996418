"""Every route, for everybody: enumerated from the OpenAPI document, so that a new one cannot be forgotten."""

from collections.abc import Iterator

import httpx
import pytest

from ops_service.principals import ROLES, SCOPES
from tests.people import add_user, browser, browser_of
from tests.running_ops import RunningOps

PUBLIC = {
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "POST /api/v1/auth/sign-in",
    "POST /api/v1/auth/link",
    "POST /api/v1/auth/link/redeem",
}
SIGNED = {"POST /api/v1/webhooks/onboard", "POST /api/v1/webhooks/onboard/batch"}
FOR_ADMINS = ("/api/v1/users", "/api/v1/tokens", "/api/v1/audit")
CHANGES = {
    "PATCH /api/v1/desk/tickets/{ticket_id}": "write",
    "POST /api/v1/desk/tickets/{ticket_id}/notes": "write",
    "POST /api/v1/quarantine/retry": "write",
    "POST /api/v1/auth/sign-out": "read",
    "POST /api/v1/auth/password": "read",
}
SESSION_ONLY = {"POST /api/v1/auth/sign-out", "POST /api/v1/auth/password"}


def operations(ops: RunningOps) -> Iterator[tuple[str, str, str]]:
    """Name, method and a path of every operation but the endless one."""
    for path, item in ops.get("/openapi.json")["paths"].items():
        for method in {"get", "put", "post", "delete", "patch"} & item.keys():
            if not path.endswith("/stream"):
                shown = path.replace("{", "").replace("}", "")
                yield f"{method.upper()} {path}", method, shown


def scope_of(name: str) -> str:
    """What the operation needs. A new one that changes something must be added above."""
    method, path = name.split()
    if path.startswith(FOR_ADMINS):
        return "admin"
    return "read" if method == "GET" else CHANGES[name]


def ask(client: httpx.Client, method: str, path: str, **headers: str) -> httpx.Response:
    """A request that is wrong in its path, its query and its body, so that it changes nothing."""
    wrong = {"limit": "x", "hours": "x", "cursor": "x"}
    content = None if method in ("get", "delete") else b"{"
    given = {"content-type": "application/json", **headers}
    return client.request(method, path, params=wrong, content=content, headers=given)


def test_nobody_learns_anything_but_that_they_must_sign_in(ops: RunningOps) -> None:
    seen = 0
    with browser(ops) as stranger, browser(ops, {"ops_session": "x" * 43}) as forger:
        for name, method, path in operations(ops):
            if name in PUBLIC:
                continue
            answers = [
                ask(stranger, method, path),
                ask(forger, method, path),
                ask(stranger, method, path, authorization="Bearer ops_forged"),
            ]
            assert {answer.status_code for answer in answers} == {401}, name
            assert all("errors" not in answer.json() for answer in answers), name
            seen += 1
    assert seen > 20


@pytest.mark.parametrize("role", ROLES)
def test_every_role_reaches_what_it_may_and_nothing_else(ops: RunningOps, role: str) -> None:
    user_id = add_user(ops, "ana", role)
    for name, method, path in operations(ops):
        if name in PUBLIC | SIGNED:
            continue
        with browser_of(ops, user_id) as client:
            status = ask(client, method, path).status_code
        allowed = SCOPES.index(ROLES[role]) >= SCOPES.index(scope_of(name))
        assert (status not in (401, 403)) if allowed else (status == 403), (name, status)


@pytest.mark.parametrize("scope", SCOPES)
def test_every_token_reaches_what_it_may_and_nothing_else(ops: RunningOps, scope: str) -> None:
    for name, method, path in operations(ops):
        if name in PUBLIC | SIGNED | SESSION_ONLY:
            continue
        status = ask(ops.http, method, path, **ops.bearer(scope)).status_code
        allowed = SCOPES.index(scope) >= SCOPES.index(scope_of(name))
        assert (status not in (401, 403)) if allowed else (status == 403), (name, status)


def test_a_token_has_no_session_to_end_and_no_password(ops: RunningOps) -> None:
    assert ops.http.post("/api/v1/auth/sign-out").status_code == 403
    body = {"current": "x", "new": "y" * 12}
    assert ops.http.post("/api/v1/auth/password", json=body).status_code == 403


def test_what_is_not_in_the_document_is_the_page_and_the_document(ops: RunningOps) -> None:
    with browser(ops) as stranger:
        assert stranger.get("/").status_code == stranger.get("/static/app.js").status_code == 200
        assert stranger.get("/openapi.json").status_code == 200
        for path in ("/docs", "/redoc", "/static/", "/static/../var/ops.db", "/api/v1", "/admin"):
            assert stranger.get(path).status_code == 404, path
