"""Signing in and choosing passwords, step by step: no transaction is open while a password is hashed."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from ops_service.audit import log
from ops_service.auth import links, passwords, sessions, throttle, users
from ops_service.http.problems import Problem
from ops_service.principals import ROLES, Principal
from portal_hooks.contract import FieldError
from portal_hooks.instants import SECOND
from projections.database.database import Database


class Visitor(NamedTuple):
    """Who knocks: from where, with which old cookie, when, and how long a session of theirs may last.

    `audit_since`: older lines of the audit log have had their time.
    """

    address: str | None
    old_cookie: str | None
    lifetime: sessions.Lifetime
    now: int
    audit_since: int = 0


class SignedIn(NamedTuple):
    """A new session's cookie and whose it is."""

    cookie: str
    principal: Principal


def by_password(database: Database, name: str, password: str, visitor: Visitor) -> SignedIn:
    """Sign in. Raises Problem 401, the same for every reason, or 429."""
    name = users.canonical_name(name)
    known = users.NAME.fullmatch(name) is not None
    # A name that cannot exist counts as one; what was typed instead of it (a password?) is kept nowhere.
    user, subjects = _attempt(database, name if known else "", visitor)
    usable = user is not None and user.disabled_at is None
    right = passwords.is_right(user.password_hash if user and usable else None, password)
    rehashed = None
    if user and right and passwords.is_outdated(user.password_hash):
        rehashed = passwords.hash_password(password)
    with database.write() as connection:
        still = _unchanged(connection, user) if right else None
        if still:
            throttle.give_back(connection, subjects)
            if rehashed:
                users.rehash(connection, still.id, rehashed)
            return _begin(connection, still, visitor, "signed_in")
        _record_refusal(connection, user, visitor)
    raise Problem(401, "Name and password do not match.")


def change_password(database: Database, who: Principal, current: str, new: str, visitor: Visitor) -> SignedIn:
    """Change one's own password; all other sessions end. Raises Problem 403, 422 or 429."""
    user, subjects = _attempt(database, who.name, visitor)
    right = user is not None and passwords.is_right(user.password_hash, current)
    password_hash = _hash_of_new(new, who.name, "/new") if right else ""
    with database.write() as connection:
        still = _unchanged(connection, user) if right else None
        if still:
            throttle.give_back(connection, subjects)
            users.set_password(connection, still, password_hash)
            return _begin(connection, still, visitor, "password_changed")
        log.record(connection, who, "password_refused", visitor.now, f"user {who.name}")
    raise Problem.wrong(FieldError("/current", "is not your present password"))


def by_link(database: Database, secret: str, name: str | None, password: str, visitor: Visitor) -> SignedIn:
    """Choose a password by a one-time link, and be signed in. Raises Problem 410, 409 or 422."""
    with database.read() as connection:
        target = _target(connection, secret, visitor.now)
    chosen = target.name or name
    if chosen is None:
        raise Problem.wrong(FieldError("/name", "the first operator chooses a name"))
    password_hash = _hash_of_new(password, chosen, "/password")
    with database.write() as connection:
        target = _target(connection, secret, visitor.now)
        links.spend(connection, secret)
        user = users.find(connection, target.user_id) if target.user_id else None
        if user is None:
            user = _first_operator(connection, chosen, visitor)
        throttle.forget_address(connection, visitor.address)
        users.set_password(connection, user, password_hash)
        return _begin(connection, user, visitor, "link_used")


def look_at_link(database: Database, secret: str, now: int) -> links.Target:
    """What a link is for, without using it. Raises Problem 410."""
    with database.read() as connection:
        return _target(connection, secret, now)


def _attempt(database: Database, name: str, visitor: Visitor) -> tuple[Row[Any] | None, throttle.Subjects]:
    with database.write() as connection:
        subjects = throttle.subjects_of(connection, name, visitor.address)
        wait = throttle.take(connection, subjects, visitor.now)
        user = users.named(connection, name)
    if wait:
        seconds = str(-(-wait // SECOND))
        raise Problem(
            429,
            f"Too many failed attempts; try again in {seconds} seconds, or ask an administrator for a link.",
            headers={"Retry-After": seconds},
        )
    return user, subjects


def _unchanged(connection: Connection, user: Row[Any] | None) -> Row[Any] | None:
    """The user, unless they were disabled or given another password while theirs was compared."""
    still = users.find(connection, user.id) if user else None
    if user and still and still.disabled_at is None and still.password_hash == user.password_hash:
        return still
    return None


def _begin(connection: Connection, user: Row[Any], visitor: Visitor, action: str) -> SignedIn:
    sessions.end_cookie(connection, visitor.old_cookie)
    cookie = sessions.begin(connection, user.id, visitor.address, visitor.lifetime, visitor.now)
    who = Principal(user.name, ROLES[user.role], "user", visitor.address, user.id)
    if action != "signed_in":
        log.record(connection, who, action, visitor.now, f"user {user.name}")
    log.record(connection, who, "signed_in", visitor.now)
    log.prune(connection, visitor.audit_since)
    return SignedIn(cookie, who)


def _record_refusal(connection: Connection, user: Row[Any] | None, visitor: Visitor) -> None:
    nobody = Principal("", "read", "nobody", visitor.address)
    subject = f"user {user.name}" if user else "nobody"
    log.record(connection, nobody, "sign_in_refused", visitor.now, subject)


def _target(connection: Connection, secret: str, now: int) -> links.Target:
    target = links.look(connection, secret, now)
    if target is None:
        raise Problem(410, "This link was used already, has expired, or was replaced by a newer one.")
    return target


def _first_operator(connection: Connection, name: str, visitor: Visitor) -> Row[Any]:
    user = users.named(connection, name)
    if user is None:
        nobody = Principal("", "admin", "nobody", visitor.address)
        users.create(connection, name, "admin", nobody, visitor.now)
        user = users.named(connection, name)
    if user is None or user.role != "admin" or user.disabled_at is not None:
        raise Problem(409, "A user of this name exists already; choose another name.", code="name_taken")
    return user


def _hash_of_new(password: str, name: str, pointer: str) -> str:
    try:
        return passwords.hash_new(password, name)
    except ValueError as error:  # the route has seen to the length
        raise Problem.wrong(FieldError(pointer, str(error)), code="password_of_name") from None
