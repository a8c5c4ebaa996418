"""Who is signed in: opaque random cookies, hashed at rest, with an idle and an absolute end."""

from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, not_, select, update

from ops_service.auth.secret_tokens import hash_of, new_secret
from ops_service.principals import ROLES, Principal
from ops_service.settings import Settings
from portal_hooks.instants import HOUR, MINUTE
from projections.database.tables import user_sessions, users

ROW: Final = user_sessions.c
WORTH_NOTING: Final = MINUTE
"""A use is written down when the last one noted is older: reading must not become writing."""
CLOCK_SLACK: Final = 5 * MINUTE
"""So far a clock may be put back without ending what it has begun."""


class Lifetime(NamedTuple):
    """Microseconds: since the last use, and since the sign-in."""

    idle: int
    absolute: int

    @classmethod
    def of(cls, settings: Settings) -> "Lifetime":
        """As the settings say."""
        return cls(settings.session_idle_minutes * MINUTE, settings.session_hours * HOUR)


class Found(NamedTuple):
    """A live session's principal, and whether its use should be noted."""

    principal: Principal
    is_worth_noting: bool


def begin(connection: Connection, user_id: int, address: str | None, lifetime: Lifetime, now: int) -> str:
    """A new session's cookie. Sessions that are over are cleared away on the way."""
    connection.execute(delete(user_sessions).where(not_(_lives(lifetime, now))))
    cookie = new_secret()
    row = {
        "user_id": user_id,
        "cookie_hash": hash_of(cookie),
        "address": address,
        "created_at": now,
        "used_at": now,
        "expires_at": now + lifetime.absolute,
    }
    connection.execute(insert(user_sessions).values(row))
    return cookie


def find(
    connection: Connection, cookie: str, address: str | None, lifetime: Lifetime, now: int
) -> Found | None:
    """Whose cookie this is, while the session lives and the user is not disabled."""
    query = (
        select(ROW.id, ROW.used_at, users.c.id.label("user_id"), users.c.name, users.c.role)
        .join(users, users.c.id == ROW.user_id)
        .where(ROW.cookie_hash == hash_of(cookie), users.c.disabled_at.is_(None), _lives(lifetime, now))
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    principal = Principal(row.name, ROLES[row.role], "user", address, row.user_id, row.id)
    return Found(principal, now - row.used_at >= WORTH_NOTING)


def count_by_user(connection: Connection, lifetime: Lifetime, now: int) -> dict[int, int]:
    """In how many browsers each user is signed in; those who are in none are left out."""
    query = select(ROW.user_id, func.count()).where(_lives(lifetime, now)).group_by(ROW.user_id)
    return dict(connection.execute(query).all())


def note_use(connection: Connection, session_id: int | None, now: int) -> None:
    """Keep the session from becoming idle."""
    connection.execute(update(user_sessions).where(ROW.id == session_id).values(used_at=now))


def end(connection: Connection, session_id: int | None) -> None:
    """Sign out one browser."""
    connection.execute(delete(user_sessions).where(ROW.id == session_id))


def end_cookie(connection: Connection, cookie: str | None) -> None:
    """End whatever session this cookie stands for: at sign-in the old one is never used on."""
    if cookie:
        connection.execute(delete(user_sessions).where(ROW.cookie_hash == hash_of(cookie)))


def end_all(connection: Connection, user_id: int) -> int:
    """Sign the user out everywhere; returns how many sessions that ended."""
    return connection.execute(delete(user_sessions).where(ROW.user_id == user_id)).rowcount


def _lives(lifetime: Lifetime, now: int) -> ColumnElement[bool]:
    """The condition of a session that is not over, nor begun or used by a clock that ran ahead."""
    latest = now + CLOCK_SLACK
    not_over = (ROW.expires_at > now, ROW.used_at > now - lifetime.idle)
    return and_(*not_over, ROW.created_at <= latest, ROW.used_at <= latest)
