"""ops-service: serve, migrate, check, tokens and users."""

import asyncio
import os
import signal
import sys
from typing import Annotated

import typer
import uvicorn

from ops_service.auth.refusals import Refused
from ops_service.commands import check, dev, tokens, users
from ops_service.commands.prepared_database import prepare, writing
from ops_service.http import connections, server
from ops_service.settings import load
from projections.database.database import Database, DatabaseMisconfigured, DatabaseUnavailable
from projections.settings import BadSettings

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(tokens.app, name="token")
app.add_typer(users.app, name="user")


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
        with Database(settings.database_url) as database:
            prepare(database)
    else:
        for finding in check.findings(settings):
            print(finding, file=sys.stderr)
    # uvicorn raises the signal again after an orderly stop; that is no failure. Before the start there is
    # nothing to end. An exception would not do: where Python compiles or collects, a handler's is lost.
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(0))
    connections.raise_file_limit()
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
    with writing():
        pass
    print("The schema is up to date.")


@app.command("check")
def run_check() -> None:
    """Say what is wrong with the set-up, and how to mend it."""
    findings = check.findings(load())
    for finding in findings:
        print(f"- {finding}")
    if findings:
        raise typer.Exit(1)
    print("All is well.")


@app.command("dev")
def run_dev() -> None:
    """Run the service and the reference portal for trying things out (`make run`)."""
    sys.exit(asyncio.run(dev.run()))


EXPECTED = (BadSettings, DatabaseMisconfigured, Refused)


def main() -> None:
    """Run the command; every expected failure is one clear line."""
    os.umask(0o077)  # a database, its lock files and its backups are for this user alone
    try:
        app()
    except EXPECTED as error:
        print(f"ops-service: {error}", file=sys.stderr)
        sys.exit(2)
    except DatabaseUnavailable as error:
        print(f"ops-service: the database cannot be used right now: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:  # before the command begins; then it is Typer's, which does the same
        sys.exit(130)
