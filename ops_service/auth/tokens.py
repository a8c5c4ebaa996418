"""API tokens: shown once when made, stored only as a hash."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from ops_service.audit import log
from ops_service.auth.refusals import Refused
from ops_service.auth.secret_tokens import hash_of, new_secret
from ops_service.principals import Principal
from projections.database.tables import api_tokens

PREFIX: Final = "ops_"


def create(connection: Connection, name: str, scope: str, by: Principal, now: int) -> str:
    """Make a token and return it; it cannot be shown again. Raises Refused."""
    token = new_secret(PREFIX)
    row = {"name": name, "scope": scope, "token_hash": hash_of(token), "created_at": now}
    try:
        with connection.begin_nested():
            connection.execute(insert(api_tokens).values(row))
    except IntegrityError:
        raise Refused("A token of this name exists already; choose another name", "name_taken") from None
    log.record(connection, by, "token_created", now, f"token {name}", f"scope {scope}")
    return token


def list_all(connection: Connection) -> Sequence[Any]:
    """All tokens by name, without what would let anyone use them."""
    columns = (api_tokens.c.id, api_tokens.c.name, api_tokens.c.scope, api_tokens.c.created_at)
    return connection.execute(select(*columns).order_by(api_tokens.c.name)).all()


def revoke(connection: Connection, token_id: int, by: Principal, now: int) -> bool:
    """End a token; False when there is none."""
    query = delete(api_tokens).where(api_tokens.c.id == token_id).returning(api_tokens.c.name)
    name = connection.execute(query).scalar_one_or_none()
    if name is not None:
        log.record(connection, by, "token_revoked", now, f"token {name}")
    return name is not None


def principal_of(connection: Connection, token: str) -> Principal | None:
    """Whose token this is, or None."""
    query = select(api_tokens.c.name, api_tokens.c.scope).where(api_tokens.c.token_hash == hash_of(token))
    row = connection.execute(query).one_or_none()
    return Principal(row.name, row.scope) if row else None
