"""Who asks, and what they may do."""

from typing import Final, Literal, NamedTuple, get_args

Scope = Literal["read", "write", "admin"]
"""Each scope includes those before it."""

Role = Literal["viewer", "agent", "admin"]

SCOPES: Final[tuple[str, ...]] = get_args(Scope)

ROLES: Final[dict[str, Scope]] = {"viewer": "read", "agent": "write", "admin": "admin"}
"""An operator's role, and the scope it has."""

Kind = Literal["user", "token", "server", "nobody"]


class Principal(NamedTuple):
    """Who is asking, from where; `user_id` and `session_id` for an operator who is signed in."""

    name: str
    scope: str
    kind: Kind = "token"
    address: str | None = None
    user_id: int | None = None
    session_id: int | None = None

    def may(self, scope: str) -> bool:
        """True when the principal's scope includes `scope`."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


SERVER: Final = Principal("command line", "admin", "server")
"""Whoever runs commands on the server itself."""
