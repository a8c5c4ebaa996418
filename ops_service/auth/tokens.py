"""API tokens: shown once when made, stored only as a hash."""

import hashlib
import secrets
from typing import Final, NamedTuple

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from portal_hooks.instants import now_instant
from projections.tables import api_tokens

SCOPES: Final = ("read", "write", "admin")
"""Each scope includes those before it."""

PREFIX: Final = "ops_"


class NameTaken(Exception):
    """A token of this name exists already."""


class Principal(NamedTuple):
    """Who is asking."""

    name: str
    scope: str

    def may(self, scope: str) -> bool:
        """True when the principal's scope includes `scope`."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


def create(connection: Connection, name: str, scope: str) -> str:
    """Make a token and return it; it cannot be shown again. Raises NameTaken."""
    token = PREFIX + secrets.token_urlsafe(32)
    row = {"name": name, "scope": scope, "token_hash": _hash(token), "created_at": now_instant()}
    try:
        connection.execute(insert(api_tokens).values(row))
    except IntegrityError:
        raise NameTaken(f"a token named {name} exists already; choose another name") from None
    return token


def principal_of(connection: Connection, token: str) -> Principal | None:
    """Whose token this is, or None."""
    # A token is 256 random bits: a plain hash is as good as a slow one, and its index leaks nothing.
    query = select(api_tokens.c.name, api_tokens.c.scope).where(api_tokens.c.token_hash == _hash(token))
    row = connection.execute(query).one_or_none()
    return Principal(*row) if row else None


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
