"""Where the database is: the one setting the commands of this package need."""

from typing import TypeVar

from pydantic_settings import BaseSettings, SettingsConfigDict


class BadSettings(Exception):
    """A setting cannot be used; the message names it and says what is wrong."""


class DatabaseSettings(BaseSettings):
    """Read from the environment or `.env`, prefix `OPS_`."""

    model_config = SettingsConfigDict(env_prefix="OPS_", env_file=".env", extra="ignore")

    database_url: str = "sqlite:///var/ops.db"


Kind = TypeVar("Kind", bound=DatabaseSettings)


def read(kind: type[Kind]) -> Kind:
    """The settings of this kind. Raises BadSettings when there is a `.env` that cannot be read."""
    try:
        return kind()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"the file .env cannot be read: {error}") from None
