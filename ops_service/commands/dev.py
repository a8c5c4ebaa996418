"""`make run`: the service and the reference portal side by side, with a secret and a token of their own.

Both are kept in var/dev.env, so that the second run and the scripts find them. Not for production.
"""

import asyncio
import os
import re
import shlex
import signal
import sys
from pathlib import Path
from typing import Any, Final

from sqlalchemy.engine import make_url

from ops_service.auth import links, tokens, users
from ops_service.commands.prepared_database import writing
from ops_service.principals import SERVER
from ops_service.settings import load
from portal_hooks.instants import now_instant
from portal_hooks.signing import generate_secret
from projections.settings import BadSettings

DEV_ENV: Final = Path("var/dev.env")
SOURCE: Final = "vm112-portal"
PORTAL_PORT: Final = "8090"
OPS: Final = ("-m", "ops_service", "serve")
PORTAL: Final = ("-m", "portal_hooks.reference_portal", "--host", "127.0.0.1", "--port")
START_SECONDS: Final = 30
STOP_SECONDS: Final = 15


async def run() -> int:
    """Run both until one ends or Ctrl-C. Returns an exit code."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    environment = _environment()
    ops = f"http://127.0.0.1:{environment['OPS_PORT']}"
    portal = f"http://127.0.0.1:{environment['PORTAL_PORT']}"
    taken = [address for address in (ops, portal) if await _answers(address)]
    if taken:
        print(
            f"Something answers at {taken[0]} already; set OPS_PORT or PORTAL_PORT to free ports.",
            file=sys.stderr,
        )
        return 2
    children: list[asyncio.subprocess.Process] = []
    stop = asyncio.create_task(stopping.wait())
    ends: list[asyncio.Task[Any]] = [stop]
    try:
        # One after the other: what waits in the portal's spool finds an Ops that answers.
        for address, command in ((ops, OPS), (portal, [*PORTAL, environment["PORTAL_PORT"]])):
            children.append(await _start(environment, *command))
            ends.append(asyncio.create_task(children[-1].wait()))
            if not await _is_up(address, ends):
                break
        else:
            _welcome(portal, ops, _desk_line(ops))
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()
        await _stop(children)
    return 0 if stopping.is_set() else 1


def _environment() -> dict[str, str]:
    """The children's environment; what is set already is kept. Raises BadSettings before making anything."""
    settings = load()
    portal_port = _portal_port(settings.port)
    kept = _read_dev_env()
    secret = kept.get("OPS_WEBHOOK_SECRET") or generate_secret()
    environment = {
        "OPS_SPOOL_DIR": "var/spool",
        "OPS_WEBHOOK_SECRETS": f"{SOURCE}={secret}",
        "OPS_WEBHOOK_SECRET": secret,
        **os.environ,
        "OPS_PORT": str(settings.port),
        "PORTAL_PORT": portal_port,
    }
    ops = f"http://127.0.0.1:{environment['OPS_PORT']}"
    environment.setdefault("OPS_WEBHOOK_URL", f"{ops}/api/v1/webhooks/onboard")
    environment.setdefault("OPS_DESK_URL", ops)
    environment["OPS_TOKEN"] = _token(kept.get("OPS_TOKEN", ""))
    DEV_ENV.parent.mkdir(exist_ok=True)
    DEV_ENV.touch(mode=0o600)
    DEV_ENV.write_text(f"OPS_WEBHOOK_SECRET={secret}\nOPS_TOKEN={environment['OPS_TOKEN']}\n")
    return environment


def _portal_port(ops_port: int) -> str:
    text = os.environ.get("PORTAL_PORT", PORTAL_PORT)
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise BadSettings("PORTAL_PORT: a port is a number from 1 to 65535")
    if ops_port == 0:
        raise BadSettings("OPS_PORT: the portal must know the port; give one from 1 to 65535")
    if int(text) == ops_port:
        raise BadSettings(f"OPS_PORT and PORTAL_PORT are both {ops_port}; give one of them another port")
    return str(int(text))


def _read_dev_env() -> dict[str, str]:
    if not DEV_ENV.exists():
        return {}
    pairs = (line.partition("=") for line in DEV_ENV.read_text().splitlines())
    return {name: value for name, separator, value in pairs if separator}


def _token(kept: str) -> str:
    """The kept token while the database knows it, else a new one."""
    with writing() as (connection, _settings):
        if kept and tokens.principal_of(connection, kept):
            return kept
        return tokens.create(connection, f"make-run-{os.urandom(3).hex()}", "admin", SERVER, now_instant())


async def _start(environment: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    # A session of its own keeps the terminal's Ctrl-C from reaching the children before us.
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environment, start_new_session=True
    )


async def _answers(address: str) -> bool:
    host, _, port = address.removeprefix("http://").partition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True


async def _is_up(address: str, ends: list[asyncio.Task[Any]]) -> bool:
    """True once the address answers; False when something ended, or all was stopped, before that."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while not await _answers(address):
        if any(end.done() for end in ends):
            return False
        if asyncio.get_running_loop().time() > deadline:
            print(f"{address} did not start within {START_SECONDS} seconds.", file=sys.stderr)
            return False
        await asyncio.sleep(0.05)
    return True


def _desk_line(ops: str) -> str:
    """A link that makes the first operator; later, who can sign in."""
    with writing() as (connection, _settings):
        if links.first_operator_is_missing(connection):
            link = links.address_of(ops, links.create(connection, None, now_instant()))
            return f"{link}\n           (opens once, within 24 hours: choose your name and password)"
        names = [row.name for row in users.list_all(connection) if row.password_hash]
    forgotten = f"{_given()}.venv/bin/ops-service user passwd {names[0]}"
    return f"{ops}   (sign in as {' or '.join(names[:3])}; password forgotten: {forgotten})"


def _given() -> str:
    """What another shell must set, for a command to find this database and this service there."""
    given = {name: os.environ[name] for name in ("OPS_DATABASE_URL", "OPS_PORT") if name in os.environ}
    if url := given.get("OPS_DATABASE_URL"):
        given["OPS_DATABASE_URL"] = make_url(url).render_as_string(hide_password=True)
    return "".join(f"{name}={shlex.quote(value)} " for name, value in given.items())


def _welcome(portal: str, ops: str, desk: str) -> None:
    print(
        f"""
  Desk     {desk}
  Portal   {portal}   (click through the wizard and watch the funnel)

  Simulated wizard runs from the shell:
    scripts/verify-funnel-webhook.sh {ops}

  Ctrl-C stops both.
""",
        flush=True,
    )


async def _stop(children: list[asyncio.subprocess.Process]) -> None:
    for child in children:
        if child.returncode is None:
            child.terminate()
    for child in children:
        try:
            await asyncio.wait_for(child.wait(), STOP_SECONDS)
        except TimeoutError:
            child.kill()
            await child.wait()
