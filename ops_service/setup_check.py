"""What is wrong with a set-up, in words that say how to mend it."""

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from ops_service.auth.links import first_operator_is_missing
from ops_service.settings import Settings
from projections.database import Database, DatabaseMisconfigured, DatabaseUnavailable
from projections.fingerprint import freshness
from projections.schema_revision import fault
from projections.tables import quarantined_events


def findings(settings: Settings) -> list[str]:
    """Everything found wrong; empty when all is well. Raises DatabaseMisconfigured."""
    found = []
    if not settings.webhook_secrets:
        found.append("OPS_WEBHOOK_SECRETS is empty: no webhook can be accepted. Set vm112-portal=whsec_….")
    database = Database(settings.database_url, must_exist=True)
    try:
        with database.read() as connection:
            found += _database_findings(connection)
    except DatabaseMisconfigured:
        raise
    except DatabaseUnavailable as error:
        found.append(f"The database cannot be used: {error}. See OPS_DATABASE_URL.")
    finally:
        database.dispose()
    return found


def _database_findings(connection: Connection) -> Iterator[str]:
    if wrong := fault(connection):
        yield f"The database has {wrong}."
        return
    if freshness(connection) == "stale":
        yield "The sessions were built by older logic: run `ops-rebuild-projections`."
    quarantined = connection.execute(select(func.count()).select_from(quarantined_events)).scalar_one()
    if quarantined:
        yield f"Quarantined events: {quarantined}. Mend the fold, then run `ops-rebuild-projections`."
    if first_operator_is_missing(connection):
        yield (
            "Nobody can sign in: run `ops-service user create NAME --role admin`, or `ops-service user passwd"
            " NAME` for somebody `ops-service user list` shows, and open the link."
        )
