"""Why a database cannot be used, in words for whoever can mend it."""


class DatabaseUnavailable(Exception):
    """The database is busy, full, restarting or out of reach; the same call may succeed later."""


class AlreadyRunning(Exception):
    """Another process does this task on this database right now."""


class DatabaseMisconfigured(Exception):
    """The database cannot be used as it is set up; the message says how to mend it."""
