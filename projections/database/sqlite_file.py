"""Whether a file can be our SQLite database, before SQLite says so without naming file or cause."""

import glob
import os
import shlex
import stat
from pathlib import Path
from typing import Any

from pysqlite3 import dbapi2 as sqlite

from projections.database.errors import DatabaseMisconfigured, DatabaseUnfit


def require_usable(file: Path, *, must_exist: bool) -> None:
    """Make its folder if there is none, unless the file must be there. Raises DatabaseMisconfigured."""
    try:
        if not must_exist:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not file.exists():
            raise DatabaseMisconfigured(
                f"there is no database at {file.absolute()}, which OPS_DATABASE_URL names;"
                " `ops-service migrate` makes a new one"
            )
        is_folder = file.is_dir()
        there = [path for path in (file.parent, file) if path.exists()]
    except OSError as error:
        message = f"the database's folder {file.parent} cannot be used: {error.strerror}"
        raise DatabaseMisconfigured(message) from None
    if is_folder:
        raise DatabaseMisconfigured(f"{file} is a folder; the SQLite URL must name a file")
    for path in there:
        if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
            raise DatabaseMisconfigured(
                f"{path} is not writable for this user; SQLite writes to the database and beside it"
            )


def loose_modes(file: Path) -> list[str]:
    """What lets other users of the machine at the database, each with the command that mends it.

    Reading is enough to do harm: a lock on one byte of `-shm` stops all writing, and it needs no more.
    """
    folder = file.parent.stat().st_mode
    reaching = (stat.S_IRWXG if folder & stat.S_IXGRP else 0) | (stat.S_IRWXO if folder & stat.S_IXOTH else 0)
    found = []
    if folder & (stat.S_IWGRP | stat.S_IWOTH):
        mend = f"chmod go-w {shlex.quote(str(file.parent))}"
        found.append(f"Other users may put files beside the database: run `{mend}`.")
    beside = file.parent.glob(f"{glob.escape(file.name)}*")
    if any(path.is_file() and path.stat().st_mode & reaching for path in beside):
        mend = f"chmod go= {shlex.quote(str(file))}*"
        found.append(
            f"Other users of this machine can read the database and block its writers: run `{mend}`."
        )
    return found


def require_sqlite_file(connection: Any) -> None:
    """Raises DatabaseMisconfigured when the opened file holds something else."""
    try:
        connection.execute("PRAGMA schema_version").fetchall()
    except sqlite.OperationalError:
        raise
    except sqlite.DatabaseError as error:
        raise DatabaseMisconfigured(f"the file that the database URL names: {error}") from None


class OpenedFile:
    """The file that a process's connections have open: the one that the first of them found."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None

    def require_same(self) -> None:
        """Raises DatabaseUnfit when it was removed, or another took its name: SQLite would go on with what
        nobody will ever open again."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            now = None
        else:
            now = (found.st_dev, found.st_ino)
        self._identity = self._identity or now
        if now != self._identity:
            raise DatabaseUnfit(
                f"{self._path} is not the file that was opened; restart what uses the database"
            )
