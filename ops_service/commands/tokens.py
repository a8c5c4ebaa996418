"""ops-service token: API tokens, from the server's own shell."""

from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from ops_service.auth import tokens
from ops_service.auth.refusals import Refused
from ops_service.commands.prepared_database import writing
from ops_service.http.parameters import PrintableName
from ops_service.principals import SERVER, Scope
from portal_hooks.instants import format_instant, now_instant

app = typer.Typer(no_args_is_help=True, help="API tokens.")


@app.command("create")
def create(
    name: Annotated[str, typer.Option(help="Who or what will use it.")],
    scope: Annotated[Scope, typer.Option(help="Each includes those before it.")] = "read",
) -> None:
    """Make an API token and print it, this once."""
    try:
        name = TypeAdapter(PrintableName).validate_python(name)
    except ValidationError:
        raise typer.BadParameter("--name is 1 to 64 characters, on one line") from None
    with writing() as (connection, _settings):
        token = tokens.create(connection, name, scope, SERVER, now_instant())
    print(token)


@app.command("list")
def list_tokens() -> None:
    """Which tokens there are; never what would let anyone use them."""
    with writing() as (connection, _settings):
        rows = tokens.list_all(connection)
    if not rows:
        print("There are no tokens yet: ops-service token create --name NAME --scope read")
    for row in rows:
        print(f"{row.name:<24} {row.scope:<8} {format_instant(row.created_at)}")


@app.command("revoke")
def revoke(name: Annotated[str, typer.Argument(help="The token's name, as `list` shows it.")]) -> None:
    """End a token at once."""
    with writing() as (connection, _settings):
        found = [row.id for row in tokens.list_all(connection) if row.name == name.strip()]
        if not found:
            raise Refused(f"there is no token {name}; see `ops-service token list`")
        tokens.revoke(connection, found[0], SERVER, now_instant())
    print(f"The token {name.strip()} is revoked.")
