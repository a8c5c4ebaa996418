"""ops-service user: operators, from the server's own shell. Also the way back in when nobody can sign in."""

import socket
import sys
from typing import Annotated, Any

import typer
from sqlalchemy import Connection, Row

from ops_service.audit import log
from ops_service.auth import links, passwords, sessions, users
from ops_service.auth.refusals import Refused
from ops_service.commands.prepared_database import writing
from ops_service.principals import SERVER, Role
from ops_service.settings import Settings
from portal_hooks.instants import now_instant

app = typer.Typer(no_args_is_help=True, help="Operators.")

Name = Annotated[str, typer.Argument(help="The name the operator signs in with.")]
Ask = Annotated[
    bool, typer.Option("--password", help="Ask for the password (or read it from stdin) instead of a link.")
]


@app.command("create")
def create(
    name: Name,
    role: Annotated[
        Role, typer.Option(help="viewer reads, agent works on tickets, admin manages people.")
    ] = "viewer",
    password: Ask = False,
) -> None:
    """Add an operator and print the one-time link to hand over."""
    try:
        name = users.parse_name(name)
    except ValueError as error:
        raise typer.BadParameter(f"a name is {error}") from None
    password_hash = _ask(name) if password else None
    with writing() as (connection, settings):
        users.create(connection, name, role, SERVER, now_instant())
        secret = _let_in(connection, _named(connection, name), password_hash)
    _hand_over(settings, name, secret)


@app.command("passwd")
def passwd(name: Name, password: Ask = False) -> None:
    """Print a one-time link with which the operator chooses a new password."""
    password_hash = _ask(users.canonical_name(name)) if password else None
    with writing() as (connection, settings):
        user = _named(connection, name)
        if user.disabled_at is not None:
            raise typer.BadParameter(f"{user.name} is disabled; `ops-service user enable {user.name}` first")
        secret = _let_in(connection, user, password_hash)
    _hand_over(settings, user.name, secret)


@app.command("list")
def list_users() -> None:
    """Who may sign in."""
    with writing() as (connection, _settings):
        rows = users.list_all(connection)
    if not rows:
        print("There are no users yet: ops-service user create NAME --role admin")
    for row in rows:
        state = "disabled" if row.disabled_at else "" if row.password_hash else "invited"
        print(f"{row.name:<24} {row.role:<8} {state}".rstrip())


@app.command("role")
def change_role(name: Name, role: Annotated[Role, typer.Argument(help="What the operator may do.")]) -> None:
    """Change what an operator may do."""
    with writing() as (connection, _settings):
        users.set_role(connection, _named(connection, name), role, SERVER, now_instant())
    print(f"{users.canonical_name(name)} is {role} now.")


@app.command("disable")
def disable(name: Name) -> None:
    """Shut an operator out at once, in every browser."""
    with writing() as (connection, _settings):
        users.set_disabled(connection, _named(connection, name), True, SERVER, now_instant())
    print(f"{users.canonical_name(name)} is disabled and signed out everywhere.")


@app.command("enable")
def enable(name: Name) -> None:
    """Let a disabled operator in again."""
    with writing() as (connection, _settings):
        users.set_disabled(connection, _named(connection, name), False, SERVER, now_instant())
    print(f"{users.canonical_name(name)} may sign in again.")


@app.command("sign-out")
def sign_out(name: Name) -> None:
    """End all sessions of an operator."""
    with writing() as (connection, _settings):
        user = _named(connection, name)
        ended = sessions.end_all(connection, user.id)
        log.record(connection, SERVER, "sessions_ended", now_instant(), f"user {user.name}", str(ended))
    print(f"Sessions ended: {ended}.")


def _named(connection: Connection, name: str) -> Row[Any]:
    user = users.named(connection, users.canonical_name(name))
    if user is None:
        raise Refused(f"there is no user {users.canonical_name(name)}; see `ops-service user list`")
    return user


def _let_in(connection: Connection, user: Row[Any], password_hash: str | None) -> str | None:
    """Set the password; without one, the secret of a link with which the operator chooses it."""
    if password_hash is None:
        return users.invite(connection, user, SERVER, now_instant())
    users.set_password(connection, user, password_hash)
    log.record(connection, SERVER, "password_set", now_instant(), f"user {user.name}")
    return None


def _hand_over(settings: Settings, name: str, secret: str | None) -> None:
    """Print the link: after the commit, for until then it leads nowhere."""
    if secret is not None:
        host = socket.gethostname() if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
        print(links.address_of(f"http://{host}:{settings.port}", secret))
        print(f"Valid once, for 24 hours. {name} chooses a password there.", file=sys.stderr)


def _ask(name: str) -> str:
    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    try:
        return passwords.hash_new(password, name)
    except ValueError as error:
        raise typer.BadParameter(f"the password {error}") from None
