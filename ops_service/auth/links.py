"""One-time links: for an invited user or a forgotten password, and one that makes the first operator."""

from typing import Final, NamedTuple

from sqlalchemy import Connection, delete, insert, select

from ops_service.auth.secret_tokens import hash_of, new_secret
from ops_service.auth.sessions import CLOCK_SLACK
from portal_hooks.instants import HOUR
from projections.database.tables import one_time_links, users

ROW: Final = one_time_links.c
LIFETIME: Final = 24 * HOUR


class Target(NamedTuple):
    """Who may choose a password by a link; both None: the first operator, who chooses a name too."""

    user_id: int | None
    name: str | None


def create(connection: Connection, user_id: int | None, now: int) -> str:
    """A link's secret; any earlier link for the same purpose ends."""
    connection.execute(delete(one_time_links).where(ROW.user_id.is_not_distinct_from(user_id)))
    secret = new_secret()
    row = {
        "user_id": user_id,
        "link_hash": hash_of(secret),
        "created_at": now,
        "expires_at": now + LIFETIME,
    }
    connection.execute(insert(one_time_links).values(row))
    return secret


def look(connection: Connection, secret: str, now: int) -> Target | None:
    """What an unused link is for; None when it was used, has expired or never was."""
    query = (
        select(ROW.user_id, users.c.name)
        .outerjoin(users, users.c.id == ROW.user_id)
        .where(
            ROW.link_hash == hash_of(secret),
            ROW.expires_at > now,
            ROW.expires_at <= now + LIFETIME + CLOCK_SLACK,
            users.c.disabled_at.is_(None),
        )
    )
    row = connection.execute(query).one_or_none()
    if row is None or (row.user_id is None and not first_operator_is_missing(connection)):
        return None
    return Target(row.user_id, row.name)


def spend(connection: Connection, secret: str) -> None:
    """The link cannot be used again."""
    connection.execute(delete(one_time_links).where(ROW.link_hash == hash_of(secret)))


def end_of_user(connection: Connection, user_id: int) -> None:
    """End every link of a user."""
    connection.execute(delete(one_time_links).where(ROW.user_id == user_id))


def first_operator_is_missing(connection: Connection) -> bool:
    """True until somebody can sign in."""
    query = select(users.c.id).where(users.c.password_hash.is_not(None)).limit(1)
    return connection.execute(query).first() is None


def address_of(base: str, secret: str) -> str:
    """Where the link leads. A fragment is not sent, so no log on the way keeps it."""
    return f"{base}/#/welcome/{secret}"
