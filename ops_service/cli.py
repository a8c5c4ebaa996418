"""ops-service: serve, migrate, check, tokens and users."""

import asyncio
import signal
import sys
from typing import Annotated

import typer
import uvicorn
from pydantic import TypeAdapter, ValidationError

from ops_service import dev, server, setup_check
from ops_service.auth import tokens, user_cli, users
from ops_service.auth.principals import SCOPES
from ops_service.auth.schemas import TokenName
from ops_service.settings import Settings, load
from projections import fingerprint
from projections.database import Database, DatabaseMisconfigured, DatabaseUnavailable
from projections.migrate import upgrade
from projections.settings import BadSettings

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
token_app = typer.Typer(no_args_is_help=True, help="API tokens.")
app.add_typer(token_app, name="token")
app.add_typer(user_cli.app, name="user")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; OPS_HOST otherwise.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; OPS_PORT otherwise.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    migrate_first: Annotated[
        bool, typer.Option("--migrate/--no-migrate", help="Bring the schema up to date before starting.")
    ] = True,
) -> None:
    """Run the service."""
    settings = load()
    if migrate_first:
        prepare(settings)
    elif setup_check.MIGRATE in setup_check.findings(settings):
        print(setup_check.MIGRATE, file=sys.stderr)
    # uvicorn raises the signal again after an orderly stop; that is no failure.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    with server.counting_together(workers):
        uvicorn.run(
            "ops_service.app:create_app",
            factory=True,
            host=host or settings.host,
            port=settings.port if port is None else port,
            workers=workers,
            **server.options(),
        )


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date."""
    prepare(load())
    print("The schema is up to date.")


@app.command()
def check() -> None:
    """Say what is wrong with the set-up, and how to mend it."""
    findings = setup_check.findings(load())
    for finding in findings:
        print(f"- {finding}")
    if findings:
        raise typer.Exit(1)
    print("All is well.")


@app.command("dev")
def run_dev() -> None:
    """Run the service and the reference portal for trying things out (`make run`)."""
    sys.exit(asyncio.run(dev.run()))


@token_app.command("create")
def create_token(
    name: Annotated[str, typer.Option(help="Who or what will use it.")],
    scope: Annotated[str, typer.Option(help="read, write or admin; each includes those before it.")] = "read",
) -> None:
    """Make an API token and print it, this once."""
    if scope not in SCOPES:
        raise typer.BadParameter("--scope is one of read, write, admin")
    try:
        name = TypeAdapter(TokenName).validate_python(name)
    except ValidationError:
        raise typer.BadParameter("--name is 1 to 64 characters, on one line") from None
    settings = load()
    prepare(settings)
    database = Database(settings.database_url)
    with database.write() as connection:
        print(tokens.create(connection, name, scope))
    database.dispose()


def prepare(settings: Settings) -> None:
    """Migrate, and note by which logic the (first) rows will be built."""
    upgrade(settings.database_url)
    database = Database(settings.database_url)
    with database.write() as connection:
        fingerprint.claim(connection)
        if fingerprint.freshness(connection) == "stale":
            print("The sessions were built by older logic: run ops-rebuild-projections.", file=sys.stderr)
    database.dispose()


EXPECTED = (
    BadSettings,
    DatabaseMisconfigured,
    tokens.NameTaken,
    users.NoSuchUser,
    users.LastAdmin,
)


def main() -> None:
    """Run the command; every expected failure is one clear line."""
    try:
        app()
    except EXPECTED as error:
        print(f"ops-service: {error}", file=sys.stderr)
        sys.exit(2)
    except DatabaseUnavailable as error:
        print(f"ops-service: the database cannot be used right now: {error}", file=sys.stderr)
        sys.exit(2)
