"""How often a sign-in may fail, by address and by account; in the database, so that all workers share it.

A leaky bucket as one number: each attempt moves the moment until which the subject has spent its attempts. A
refused attempt moves nothing, so nobody is kept out longer by trying, and success gives the attempt back.
"""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from ops_service.audit.log import has_signed_in_from
from portal_hooks.instants import MINUTE, SECOND
from projections.database.tables import sign_in_limits

ROW: Final = sign_in_limits.c


class Limit(NamedTuple):
    """`burst` attempts at once, then one every `every` microseconds."""

    burst: int
    every: int


BY_ADDRESS: Final = Limit(burst=20, every=15 * SECOND)
BY_ACCOUNT: Final = Limit(burst=10, every=MINUTE)

Subjects = dict[str, Limit]


def subjects_of(connection: Connection, name: str, address: str | None) -> Subjects:
    """What an attempt counts against.

    Where the account has signed in from this address before, only the address counts: a stranger who guesses
    from elsewhere cannot keep the operator out.
    """
    subjects = {f"address {_network(address)}": BY_ADDRESS}
    if not has_signed_in_from(connection, name, address):
        subjects[f"account {name}"] = BY_ACCOUNT
    return subjects


def take(connection: Connection, subjects: Subjects, now: int) -> int:
    """Count an attempt and return 0; or count nothing and return how many microseconds to wait."""
    connection.execute(delete(sign_in_limits).where(ROW.spent_until <= now))
    rows = connection.execute(select(sign_in_limits).where(ROW.subject.in_(subjects))).all()
    # Beyond its burst nobody can have spent anything: only a clock that ran ahead says so.
    spent = {row.subject: min(row.spent_until, now + _burst(subjects[row.subject])) for row in rows}
    for row in rows:
        if spent[row.subject] != row.spent_until:
            _set(connection, row.subject, spent[row.subject])
    waits: list[int] = [
        spent.get(subject, now) - now - (limit.burst - 1) * limit.every for subject, limit in subjects.items()
    ]
    if max(waits) > 0:
        return max(waits)
    for subject, limit in subjects.items():
        _spend(connection, subject, spent.get(subject), limit.every, now)
    return 0


def give_back(connection: Connection, subjects: Subjects) -> None:
    """After a success: the attempt was none."""
    for subject, limit in subjects.items():
        changed = {"spent_until": ROW.spent_until - limit.every}
        connection.execute(update(sign_in_limits).where(ROW.subject == subject).values(changed))


def forget(connection: Connection, name: str) -> None:
    """An administrator's help: the account's failures no longer count."""
    connection.execute(delete(sign_in_limits).where(ROW.subject == f"account {name}"))


def forget_address(connection: Connection, address: str | None) -> None:
    """Whoever opened a link is no stranger: what failed from their address no longer counts."""
    connection.execute(delete(sign_in_limits).where(ROW.subject == f"address {_network(address)}"))


def _spend(connection: Connection, subject: str, spent: int | None, every: int, now: int) -> None:
    if spent is None:
        connection.execute(insert(sign_in_limits).values(subject=subject, spent_until=now + every))
    else:
        _set(connection, subject, spent + every)


def _set(connection: Connection, subject: str, spent_until: int) -> None:
    where = ROW.subject == subject
    connection.execute(update(sign_in_limits).where(where).values(spent_until=spent_until))


def _burst(limit: Limit) -> int:
    return limit.burst * limit.every


def _network(address: str | None) -> str:
    """An IPv6 caller has a /64 to choose from; it counts as one."""
    if address is None:
        return "unknown"
    parsed = ip_address(address)
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else address
