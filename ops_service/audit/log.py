"""The audit log: who did what, when, from where. Never a secret, never what somebody typed in vain."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, insert, select

from ops_service.principals import Principal
from projections.database.tables import audit_log

ROW = audit_log.c

PRUNED_AT_ONCE = 1_000
"""So that a sign-in never waits for years of lines."""


def record(
    connection: Connection,
    who: Principal,
    action: str,
    now: int,
    subject: str | None = None,
    detail: str | None = None,
) -> None:
    """Write one line, in the transaction of what it tells about."""
    line = {
        "at": now,
        "actor_kind": who.kind,
        "actor": who.name or None,
        "address": who.address,
        "action": action,
        "subject": subject,
        "detail": detail,
    }
    connection.execute(insert(audit_log).values(line))


def prune(connection: Connection, before: int) -> None:
    """Remove the oldest lines, some of those from before that instant: each sign-in takes away its share."""
    oldest = select(ROW.id).order_by(ROW.id).limit(PRUNED_AT_ONCE).subquery()
    connection.execute(delete(audit_log).where(ROW.id.in_(select(oldest)), ROW.at < before))


def page(connection: Connection, before: int | None, limit: int) -> tuple[int, Sequence[Row[Any]]]:
    """How many lines there are, and some of them, newest first."""
    query = select(audit_log).order_by(ROW.id.desc()).limit(limit)
    if before is not None:
        query = query.where(ROW.id < before)
    total = connection.execute(select(func.count()).select_from(audit_log)).scalar_one()
    return total, connection.execute(query).all()


def has_signed_in_from(connection: Connection, name: str, address: str | None) -> bool:
    """True when this operator has signed in from this address before."""
    signed_in = (ROW.actor == name, ROW.action == "signed_in", ROW.address == address)
    return bool(connection.execute(select(exists().where(*signed_in))).scalar_one())
