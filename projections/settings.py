"""Where the database is: the one setting the commands of this package need."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class DatabaseSettings(BaseSettings):
    """Read from the environment or `.env`, prefix `OPS_`."""

    model_config = SettingsConfigDict(env_prefix="OPS_", env_file=".env", extra="ignore")

    database_url: str = "sqlite:///var/ops.db"
