"""A PostgreSQL of one test's own, which may be stopped, gently or not, and started again at its address."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from projections.database.database import Database
from projections.database.migrate import upgrade
from tests.servers import postgres
from tests.servers.process import Account, ServerUnavailable, free_port, scratch_folder, unprivileged_account

START_SECONDS = 30.0


class RestartablePostgres:
    """The server, and its migrated database."""

    def __init__(self, programs: Path, folder: Path, account: Account, password: str) -> None:
        self._port = free_port()
        self.url = f"postgresql://postgres:{password}@127.0.0.1:{self._port}/postgres"
        self._programs = programs
        self._folder = folder
        self._account = account
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def running(cls) -> "Iterator[RestartablePostgres]":
        """A server that is up; it is gone after the block. Raises ServerUnavailable."""
        account = unprivileged_account()
        with scratch_folder(account) as folder:
            programs = postgres._readable_programs(postgres._find_programs(), folder, account)
            server = cls(programs, folder, account, postgres._create_cluster(programs, folder, account))
            server.start()
            try:
                with Database(server.url) as database:
                    upgrade(database)
                yield server
            finally:
                server.stop_fast()

    def start(self) -> None:
        """Returns when it answers."""
        settings = postgres.SERVER_SETTINGS | {
            "port": str(self._port),
            "unix_socket_directories": str(self._folder),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *options],
                cwd=self._folder,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                **self._account.popen_options(),
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                end = (self._folder / "log").read_text(errors="replace")[-2000:]
                raise ServerUnavailable(f"PostgreSQL did not come back; its log ends:\n{end}")
            time.sleep(0.02)

    def stop_fast(self) -> None:
        """What an administrator's restart does: sessions are ended, data is flushed."""
        self._stop(signal.SIGINT)

    def stop_at_once(self) -> None:
        """As in a crash: nothing is flushed, and the next start recovers from the log."""
        self._stop(signal.SIGQUIT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """As on a host that hangs: connections stay, and nothing answers."""
        assert self._process
        frozen = [self._process.pid, *_children(self._process.pid)]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)

    def _stop(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_SECONDS)
            self._process = None

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
