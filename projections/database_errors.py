"""Why a database cannot be used, in words for whoever can mend it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pysqlite3 import dbapi2 as sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_SQLITE_PASSING: Final = (sqlite.OperationalError, sqlite.InterfaceError)
"""What SQLAlchemy's errors of the same names wrap; they come bare from the driver's own cursor."""

_PASSING_STATES: Final = {
    "25006": "read-only transaction",
    "42501": "insufficient privilege",
    "42P01": "undefined table",
    "42703": "undefined column",
}
"""PostgreSQL's errors of a database that is not set up (yet), which SQLite counts among the passing ones."""

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


class DatabaseRefused(DatabaseMisconfigured, DatabaseUnavailable):
    """PostgreSQL does not know the database or user, or not by this password.

    A command gives up; the running service waits, for it can be mended on the server, too.
    """


@contextmanager
def translated() -> Iterator[None]:
    """Turn the drivers' passing failures into DatabaseUnavailable; real faults stay what they are.

    Raises DatabaseRefused for those that pass only when somebody mends the set-up.
    """
    try:
        yield
    except (PoolTimeout, *_SQLITE_PASSING) as error:
        raise DatabaseUnavailable(reason(error)) from error
    except DBAPIError as error:
        if error.statement is None and _REFUSAL.search(reason(error)):
            raise DatabaseRefused(
                f"OPS_DATABASE_URL opens no database: {reason(error)};"
                " mend it, or set up on the server what it names"
            ) from error
        if not _is_passing(error):
            raise
        raise DatabaseUnavailable(reason(error)) from error


def reason(error: Exception) -> str:
    """The driver's own words, one line of them."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__


def _is_passing(error: DBAPIError) -> bool:
    return (
        isinstance(error, OperationalError | InterfaceError)
        or error.connection_invalidated
        or getattr(error.orig, "sqlstate", "") in _PASSING_STATES
    )
