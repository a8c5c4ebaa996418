"""Why a database cannot be used, in words for whoever can mend it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pysqlite3 import dbapi2 as sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_READ_ONLY: Final = "25006"
"""PostgreSQL's state of a standby, which may become the primary."""


_MIGRATE: Final = "run `ops-service migrate`; where that finds nothing to do, put a backup back"
_MENDING_BY_STATE: Final = {
    "3F000": "make that schema, or take it out of the search_path",
    "42501": "grant what is missing to the role in OPS_DATABASE_URL",
    "42P01": _MIGRATE,
    "42703": _MIGRATE,
}
"""How to mend what PostgreSQL finds wrong: a schema, privilege, table or column that is missing."""

_SQLITE_UNDEFINED: Final = re.compile("no such (?:table|column)")
_SQLITE_DAMAGED: Final = {sqlite.SQLITE_CORRUPT, sqlite.SQLITE_NOTADB}

# Of a connection that fails psycopg keeps no SQLSTATE, only the server's words. Where those are not English,
# the refusal counts as passing.
_REFUSAL: Final = re.compile(
    r'(?:database|role) ".*" does not exist|authentication failed|not permitted to log in|pg_hba\.conf'
    r"|no password supplied|invalid connection option|invalid \w+ value|bad value for"
)


class DatabaseUnavailable(Exception):
    """The database is busy, full, restarting or out of reach; the same call may succeed later."""


class AlreadyRunning(Exception):
    """Another process does this task on this database right now."""


class DatabaseMisconfigured(Exception):
    """The database cannot be used as it is set up; the message says how to mend it."""


class DatabaseUnfit(DatabaseMisconfigured, DatabaseUnavailable):
    """The database refuses us, is damaged, or lacks something we need: it passes only when somebody mends it.

    A command gives up; the running service waits, for it may be mended meanwhile.
    """


@contextmanager
def translated() -> Iterator[None]:
    """Turn the drivers' passing failures into DatabaseUnavailable, those that pass only when somebody mends
    the database into DatabaseUnfit. Real faults stay what they are."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable(reason(error)) from error
    except (DBAPIError, sqlite.Error) as error:
        if mending := _mending(error):
            raise DatabaseUnfit(f"{reason(error)}; {mending}") from error
        if _is_passing(error):
            raise DatabaseUnavailable(reason(error)) from error
        raise


def reason(error: Exception) -> str:
    """The driver's own words, one line of them."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__


def _mending(error: Exception) -> str | None:
    """What somebody has to do before the database can be used; None where nothing of the kind is known."""
    if isinstance(error, DBAPIError):
        if error.statement is None and _REFUSAL.search(reason(error)):
            return "mend OPS_DATABASE_URL, or set up on the server what it names"
        error = error.orig if isinstance(error.orig, Exception) else error
    if not isinstance(error, sqlite.Error):
        return _MENDING_BY_STATE.get(getattr(error, "sqlstate", None) or "")
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE_DAMAGED:
        return "the file is damaged: put a backup back"
    return _MIGRATE if _SQLITE_UNDEFINED.match(reason(error)) else None


def _is_passing(error: DBAPIError | sqlite.Error) -> bool:
    if isinstance(error, DBAPIError):
        return (
            isinstance(error, OperationalError | InterfaceError)
            or error.connection_invalidated
            or getattr(error.orig, "sqlstate", "") == _READ_ONLY
        )
    # Bare from the driver's own cursor; they are what SQLAlchemy's errors of the same names wrap.
    return isinstance(error, sqlite.OperationalError | sqlite.InterfaceError)
