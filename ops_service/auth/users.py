"""Operators: who there is, what they may do, and their passwords."""

import re
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from ops_service.audit import log
from ops_service.auth import links, sessions, throttle
from ops_service.auth.refusals import Refused
from ops_service.principals import Principal
from projections.database.tables import users

ROW: Final = users.c
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}", re.ASCII)


def canonical_name(name: str) -> str:
    """The name as it is stored: people type capitals and blanks."""
    return name.strip().lower()


def parse_name(text: str) -> str:
    """The name a new user gets. Raises ValueError."""
    name = canonical_name(text)
    if not NAME.fullmatch(name):
        raise ValueError("1 to 64 of a-z, 0-9, . _ @ -, beginning with a letter or digit")
    return name


def create(connection: Connection, name: str, role: str, by: Principal, now: int) -> int:
    """Add a user who cannot sign in yet; returns the id. Raises Refused."""
    query = insert(users).values(name=name, role=role, created_at=now).returning(ROW.id)
    try:
        with connection.begin_nested():
            user_id = int(connection.execute(query).scalar_one())
    except IntegrityError:
        raise Refused(f"A user named {name} exists already", "name_taken") from None
    log.record(connection, by, "user_created", now, f"user {name}", f"role {role}")
    return user_id


def list_all(connection: Connection) -> Sequence[Row[Any]]:
    """All users by name."""
    return connection.execute(select(users).order_by(ROW.name)).all()


def find(connection: Connection, user_id: int | None) -> Row[Any] | None:
    """One user."""
    return connection.execute(select(users).where(ROW.id == user_id)).one_or_none()


def named(connection: Connection, name: str) -> Row[Any] | None:
    """The user of this name."""
    return connection.execute(select(users).where(ROW.name == name)).one_or_none()


def set_password(connection: Connection, user: Row[Any], password_hash: str) -> None:
    """Store a new password's hash; every session and link of before ends."""
    connection.execute(update(users).where(ROW.id == user.id).values(password_hash=password_hash))
    sessions.end_all(connection, user.id)
    links.end_of_user(connection, user.id)
    throttle.forget(connection, user.name)


def rehash(connection: Connection, user_id: int, password_hash: str) -> None:
    """Store the same password under today's costs."""
    connection.execute(update(users).where(ROW.id == user_id).values(password_hash=password_hash))


def invite(connection: Connection, user: Row[Any], by: Principal, now: int) -> str:
    """The secret of a link with which the user chooses a password. Until it is used, the old one holds."""
    throttle.forget(connection, user.name)
    log.record(connection, by, "link_created", now, f"user {user.name}")
    return links.create(connection, user.id, now)


def set_role(connection: Connection, user: Row[Any], role: str, by: Principal, now: int) -> None:
    """Change what the user may do, from the next request on. Raises Refused."""
    if role == user.role:
        return
    _keep_an_admin(connection, user)
    connection.execute(update(users).where(ROW.id == user.id).values(role=role))
    log.record(connection, by, "role_changed", now, f"user {user.name}", f"{user.role} → {role}")


def set_disabled(connection: Connection, user: Row[Any], disabled: bool, by: Principal, now: int) -> None:
    """Shut the user out at once, or let them in again. Raises Refused."""
    if disabled == (user.disabled_at is not None):
        return
    if disabled:
        _keep_an_admin(connection, user)
        sessions.end_all(connection, user.id)
        links.end_of_user(connection, user.id)
    values = {"disabled_at": now if disabled else None}
    connection.execute(update(users).where(ROW.id == user.id).values(values))
    log.record(connection, by, "user_disabled" if disabled else "user_enabled", now, f"user {user.name}")


def _keep_an_admin(connection: Connection, user: Row[Any]) -> None:
    if user.role != "admin" or user.disabled_at is not None or user.password_hash is None:
        return
    working = (ROW.role == "admin", ROW.disabled_at.is_(None), ROW.password_hash.is_not(None))
    others = select(ROW.id).where(*working, ROW.id != user.id).limit(1)
    if connection.execute(others).first() is None:
        reason = f"{user.name} is the last administrator who can sign in; make another one first"
        raise Refused(reason, "last_admin")
