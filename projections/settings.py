"""Where the database is: the one setting the commands of this package need."""

import os
from pathlib import Path
from typing import Final, TypeVar

from dotenv.parser import parse_stream
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_FILE: Final = Path(".env")


class BadSettings(Exception):
    """A setting cannot be used; the message names it and says what is wrong."""


class DatabaseSettings(BaseSettings):
    """Read from the environment or `.env`, prefix `OPS_`."""

    model_config = SettingsConfigDict(env_prefix="OPS_", env_file=ENV_FILE, extra="ignore")

    database_url: str = "sqlite:///var/ops.db"


Kind = TypeVar("Kind", bound=DatabaseSettings)


def read(kind: type[Kind]) -> Kind:
    """The settings of this kind. Raises BadSettings when there is a `.env` that cannot be read, or a line of
    it cannot: left out, it would leave a default in force that nobody chose."""
    try:
        _require_readable_lines(ENV_FILE)
        return kind()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{ENV_FILE.absolute()} cannot be read: {error}") from None


def _require_readable_lines(file: Path) -> None:
    if not os.path.lexists(file) or file.is_fifo():  # a pipe can be read but once
        return
    with file.open(encoding="utf-8") as stream:
        for binding in parse_stream(stream):
            if binding.error or (binding.key is not None and binding.value is None):
                text = binding.original.string
                line = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
                raise BadSettings(f"{file.absolute()}, line {line}, cannot be read; write it as NAME=value")
