"""Two ways in which a disk runs out of space, for a service that is running."""

import errno
import os
import resource
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.faults.ops_process import OpsProcess

DISK_BYTES = 8 * 1024 * 1024


class Shortage(ABC):
    """A folder for the database, and the means to deny and to give back the space it needs."""

    folder: Path

    @abstractmethod
    def begin(self, ops: OpsProcess) -> None:
        """From now on nothing more can be written."""

    @abstractmethod
    def end(self, ops: OpsProcess) -> None:
        """There is space again."""


class FileSizeLimit(Shortage):
    """The kernel refuses every write to a file, with EFBIG; needs no privilege."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, ops: OpsProcess) -> None:
        resource.prlimit(ops.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def end(self, ops: OpsProcess) -> None:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(ops.pid, resource.RLIMIT_FSIZE, unlimited)


class SmallDisk(Shortage):
    """A file system of a few megabytes that something else fills up, so that writes end with ENOSPC."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def begin(self, ops: OpsProcess) -> None:
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (65_536, 512):
                _write_until_full(ballast.fileno(), b"\0" * size)

    def end(self, ops: OpsProcess) -> None:
        self._ballast.unlink()


@contextmanager
def shortage(kind: str, folder: Path) -> Iterator[Shortage]:
    """The shortage of this kind, with nothing denied yet."""
    if kind == "file size limit":
        yield FileSizeLimit(folder)
        return
    disk = folder / "disk"
    disk.mkdir()
    _mount(disk)
    try:
        yield SmallDisk(disk)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@cache
def kinds() -> tuple[str, ...]:
    """The file size limit everywhere; a real full file system where we may mount one."""
    probe = Path(tempfile.mkdtemp(prefix="ops-test-"))
    try:
        _mount(probe)
    except (OSError, subprocess.CalledProcessError):
        return ("file size limit",)
    else:
        subprocess.run(["umount", str(probe)], check=True)
        return ("file size limit", "full disk")
    finally:
        shutil.rmtree(probe)


def _mount(folder: Path) -> None:
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


def _write_until_full(file: int, block: bytes) -> None:
    try:
        while True:
            os.write(file, block)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
