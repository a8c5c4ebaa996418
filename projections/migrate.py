"""Bring a database's schema to the newest revision."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from projections.database import Database

_ROOT = Path(__file__).resolve().parent.parent


def upgrade(url: str) -> None:
    """Apply all missing migrations. Raises DatabaseUnavailable or DatabaseMisconfigured."""
    database = Database(url)
    try:
        # One write transaction: two services starting at once migrate one after the other.
        with database.write() as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        database.dispose()


def _config() -> Config:
    config = Config(_ROOT / "alembic.ini")
    config.set_main_option("script_location", str(_ROOT / "migrations"))
    return config
