"""/api/v1/users, /tokens, /audit: what administrators manage."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row

from ops_service.audit import log
from ops_service.auth import links, schemas, sessions, tokens, users
from ops_service.auth.guard import Admin, LifetimeOf, guarded_router
from ops_service.auth.refusals import Refused
from ops_service.http import cursors
from ops_service.http.parameters import DatabaseOf, Id, Limit, Now
from ops_service.http.problems import Problem, responses

router = guarded_router("/api/v1", "people")


@router.get("/users")
def list_users(database: DatabaseOf, _admin: Admin, lifetime: LifetimeOf, now: Now) -> schemas.UserList:
    """Everybody who may sign in."""
    with database.read() as connection:
        rows = users.list_all(connection)
        signed_in = sessions.count_by_user(connection, lifetime, now)
    return schemas.UserList(users=[_user_body(row, signed_in) for row in rows])


@router.post("/users", status_code=201, responses=responses(400, 408, 409, 413))
def invite_user(database: DatabaseOf, admin: Admin, now: Now, new: schemas.NewUser) -> schemas.Invitation:
    """Add a user; the answer holds the one-time link to hand over."""
    with _refusals_told(), database.write() as connection:
        user_id = users.create(connection, new.name, new.role, admin, now)
        return _invitation(connection, _find(connection, user_id), admin, now)


@router.patch("/users/{user_id}", responses=responses(400, 404, 408, 409, 413))
def change_user(
    database: DatabaseOf,
    admin: Admin,
    lifetime: LifetimeOf,
    now: Now,
    user_id: Id,
    change: schemas.UserChange,
) -> schemas.UserBody:
    """Change the role, disable or enable. A change counts from the user's next request on."""
    with _refusals_told(), database.write() as connection:
        user = _find(connection, user_id)
        if change.role is not None:
            users.set_role(connection, user, change.role, admin, now)
        if change.disabled is not None:
            users.set_disabled(connection, _find(connection, user_id), change.disabled, admin, now)
        signed_in = sessions.count_by_user(connection, lifetime, now)
        return _user_body(_find(connection, user_id), signed_in)


@router.post("/users/{user_id}/link", status_code=201, responses=responses(404, 409))
def renew_link(database: DatabaseOf, admin: Admin, now: Now, user_id: Id) -> schemas.Invitation:
    """A new one-time link for an invited user, or for one who forgot the password."""
    with database.write() as connection:
        user = _find(connection, user_id)
        if user.disabled_at is not None:
            raise Problem(409, "This user is disabled; enable them first.", code="user_disabled")
        return _invitation(connection, user, admin, now)


@router.delete("/users/{user_id}/sessions", status_code=204, responses=responses(404))
def end_sessions(database: DatabaseOf, admin: Admin, now: Now, user_id: Id) -> None:
    """Sign a user out everywhere."""
    with database.write() as connection:
        user = _find(connection, user_id)
        ended = sessions.end_all(connection, user.id)
        log.record(connection, admin, "sessions_ended", now, f"user {user.name}", str(ended))


@router.get("/tokens")
def list_tokens(database: DatabaseOf, _admin: Admin) -> schemas.TokenList:
    """All API tokens, by name."""
    with database.read() as connection:
        rows = tokens.list_all(connection)
    return schemas.TokenList.model_validate({"tokens": [row._asdict() for row in rows]})


@router.post("/tokens", status_code=201, responses=responses(400, 408, 409, 413))
def create_token(database: DatabaseOf, admin: Admin, now: Now, new: schemas.NewToken) -> schemas.CreatedToken:
    """Make an API token; it is shown this once."""
    with _refusals_told(), database.write() as connection:
        return schemas.CreatedToken(token=tokens.create(connection, new.name, new.scope, admin, now))


@router.delete("/tokens/{token_id}", status_code=204, responses=responses(404))
def revoke_token(database: DatabaseOf, admin: Admin, now: Now, token_id: Id) -> None:
    """End an API token."""
    with database.write() as connection:
        if not tokens.revoke(connection, token_id, admin, now):
            raise Problem(404, "There is no such token.")


@router.get("/audit")
def read_audit(
    database: DatabaseOf,
    _admin: Admin,
    limit: Limit = 50,
    cursor: str | None = None,
) -> schemas.AuditPage:
    """Sign-ins, refused ones, and every change, newest first."""
    before = cursors.position(cursor)
    with database.read() as connection:
        total, lines = log.page(connection, before, limit + 1)
    shown, next_cursor = cursors.cut(lines, limit, lambda line: [line.id])
    return schemas.AuditPage.model_validate(
        {"total": total, "lines": [line._asdict() for line in shown], "next_cursor": next_cursor}
    )


@contextmanager
def _refusals_told() -> Iterator[None]:
    try:
        yield
    except Refused as error:
        raise Problem(409, f"{error}.", code=error.code) from None


def _find(connection: Connection, user_id: int) -> Row[Any]:
    user = users.find(connection, user_id)
    if user is None:
        raise Problem(404, "There is no such user.")
    return user


def _invitation(connection: Connection, user: Row[Any], admin: Admin, now: int) -> schemas.Invitation:
    secret = users.invite(connection, user, admin, now)
    path = links.address_of("", secret)
    return schemas.Invitation(user_id=user.id, path=path, expires_at=now + links.LIFETIME)


def _user_body(row: Row[Any], signed_in: Mapping[int, int]) -> schemas.UserBody:
    state = "disabled" if row.disabled_at else "active" if row.password_hash else "invited"
    return schemas.UserBody.model_validate(
        {**row._mapping, "state": state, "sessions": signed_in.get(row.id, 0)}
    )
