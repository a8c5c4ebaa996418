"""What is wrong with a set-up, in words that say how to mend it."""

import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from dotenv import dotenv_values
from sqlalchemy import Connection, func, select, text

from ops_service.auth import users
from ops_service.auth.links import first_operator_is_missing
from ops_service.settings import Settings
from projections.database.database import Database, DatabaseMisconfigured, DatabaseUnavailable
from projections.database.schema_revision import fault
from projections.database.sqlite_file import loose_modes
from projections.database.tables import quarantined_events
from projections.onboarding.state import freshness
from projections.settings import ENV_FILE

SPARE_BYTES: Final = 200 * 1024 * 1024
"""SQLite's write-ahead log takes that much at times; a rebuild needs the size of the sessions' table, too."""

_RIGHTS: Final = text(
    "SELECT current_user, tableowner, pg_has_role(tableowner, 'USAGE'),"
    " pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean"
    " FROM pg_tables WHERE tablename = 'webhook_events' AND schemaname = current_schema()"
)


def findings(settings: Settings) -> list[str]:
    """Everything found wrong; empty when all is well. Raises DatabaseMisconfigured."""
    found = [*_mistyped_names(), *_settings_findings(settings)]
    try:
        with Database(settings.database_url, must_exist=True) as database, database.read() as connection:
            found += _database_findings(connection)
        if database.is_sqlite:
            file = Path(database.url.database or "").absolute()
            found += [*_disk_findings(file), *loose_modes(file)]
    except DatabaseMisconfigured:
        raise
    except DatabaseUnavailable as error:
        found.append(f"The database cannot be used: {error}. See OPS_DATABASE_URL.")
    return found


def _mistyped_names() -> Iterator[str]:
    known = {f"OPS_{name.upper()}" for name in Settings.model_fields}
    given = os.environ.keys() | dotenv_values(ENV_FILE).keys()
    # Others that begin so are the portal's, or somebody's own.
    for name in sorted(given - known):
        for meant in get_close_matches(name, known - given, 1, cutoff=0.85):
            yield f"{name} is no setting, and none has its value: write {meant}, if that is meant."


def _settings_findings(settings: Settings) -> Iterator[str]:
    if not settings.webhook_secrets:
        yield "OPS_WEBHOOK_SECRETS is empty: no webhook can be accepted. Set vm112-portal=whsec_…."
    yield from _secrets_findings(settings.webhook_secrets)
    if not settings.allowed_networks:
        yield (
            "OPS_ALLOWED_NETWORKS is empty: every delivery is refused. Name the portal's network, or remove"
            " the setting for loopback and private ranges."
        )


def _secrets_findings(secrets: Sequence[tuple[str, bytes]]) -> Iterator[str]:
    sources_of: dict[bytes, Counter[str]] = defaultdict(Counter)
    for source, key in secrets:
        sources_of[key][source] += 1
    for sources in sources_of.values():
        for source, times in sources.items():
            if times > 1:
                yield f"OPS_WEBHOOK_SECRETS has the same secret for {source} twice: remove one."
        if len(sources) > 1:
            first, *others = sources
            yield (
                f"OPS_WEBHOOK_SECRETS has one secret for {' and '.join(sources)}: what {' and '.join(others)}"
                f" sends counts as {first}'s. Give each source a secret of its own."
            )


def _disk_findings(file: Path) -> Iterator[str]:
    free = shutil.disk_usage(file.parent).free
    if free < SPARE_BYTES:
        yield f"The disk of {file} has {free // 2**20} MB left: without space every delivery is answered 503."


def _database_findings(connection: Connection) -> Iterator[str]:
    if wrong := fault(connection):
        yield f"The database has {wrong}."
        return
    if connection.dialect.name == "postgresql":
        yield from _rights_findings(connection)
    if freshness(connection) == "stale":
        yield "The sessions were built by older logic: run `ops-rebuild-projections`."
    quarantined = connection.execute(select(func.count()).select_from(quarantined_events)).scalar_one()
    if quarantined:
        retry = "ops-rebuild-projections --retry-quarantined"
        yield f"Quarantined events: {quarantined}. Mend the fold, then run `{retry}`."
    if first_operator_is_missing(connection):
        yield from _operator_findings([row.name for row in users.list_all(connection) if not row.disabled_at])


def _rights_findings(connection: Connection) -> Iterator[str]:
    """A rebuild replaces tables, which only their owner may do; and its owner may do all else, too."""
    me, owner, is_owner, read_only = connection.execute(_RIGHTS).one()
    if not is_owner:
        yield f"The tables belong to the role {owner}: make {me}, as OPS_DATABASE_URL has it, their owner."
    if read_only:
        yield "The database is read-only: every delivery is answered 503. See OPS_DATABASE_URL."


def _operator_findings(invited: Sequence[str]) -> Iterator[str]:
    if not invited:
        yield "Nobody can sign in: run `ops-service user create NAME --role admin` and open its link."
    for name in invited:
        yield (
            f"Nobody can sign in yet: {name} has not opened the link; `ops-service user passwd {name}` prints"
            " a new one."
        )
