"""The portal's settings, read from its environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from portal_hooks.signing import parse_secret
from portal_hooks.spool.writer import LIMIT_BYTES

INGRESS_PATH: Final = "/api/v1/webhooks/onboard"
BATCH_SUFFIX: Final = "/batch"
MEGABYTE: Final = 1024 * 1024


class ConfigurationError(ValueError):
    """A setting is missing or wrong; the message is one line that names it and says how to mend it."""


class HookSettings(NamedTuple):
    """What OnboardHooks needs to know."""

    url: str
    """The address of Ops' ingress, which batches are posted below."""
    key: bytes
    spool_dir: Path
    redis_url: str | None = None
    spool_limit_bytes: int = LIMIT_BYTES

    @property
    def batch_url(self) -> str:
        """Where the hooks post to."""
        return self.url + BATCH_SUFFIX


def read_settings(environ: Mapping[str, str] | None = None) -> HookSettings:
    """Read OPS_WEBHOOK_URL, OPS_WEBHOOK_SECRET, OPS_SPOOL_DIR; if given, REDIS_URL and OPS_SPOOL_LIMIT_MB.

    Raises ConfigurationError.
    """
    values = os.environ if environ is None else environ
    return HookSettings(
        url=_ingress_url(_required(values, "OPS_WEBHOOK_URL", "http://vm122:8080")),
        key=_key(_required(values, "OPS_WEBHOOK_SECRET", "whsec_…, the secret Ops knows this portal by")),
        spool_dir=_writable_folder(_required(values, "OPS_SPOOL_DIR", "/var/lib/onboard-portal/spool")),
        redis_url=values.get("REDIS_URL") or None,
        spool_limit_bytes=read_spool_limit(values),
    )


def read_spool_limit(environ: Mapping[str, str]) -> int:
    """OPS_SPOOL_LIMIT_MB, in bytes. Raises ConfigurationError."""
    text = environ.get("OPS_SPOOL_LIMIT_MB", "").strip()
    if not text:
        return LIMIT_BYTES
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= 1_000_000):
        raise ConfigurationError("OPS_SPOOL_LIMIT_MB is not a whole number of megabytes, e.g. 256")
    return int(text) * MEGABYTE


def _required(values: Mapping[str, str], name: str, example: str) -> str:
    value = values.get(name, "").strip()
    if not value:
        raise ConfigurationError(f"{name} is not set; set it in the portal's environment, e.g. {example}")
    return value


def _ingress_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError("OPS_WEBHOOK_URL is not an http or https address, e.g. http://vm122:8080")
    if "?" in text or "#" in text:
        raise ConfigurationError(
            "OPS_WEBHOOK_URL has a query or a fragment; leave away what begins with ? or #, e.g. http://vm122:8080"
        )
    text = text.rstrip("/")
    return text + INGRESS_PATH if parts.path in ("", "/") else text


def _key(text: str) -> bytes:
    try:
        return parse_secret(text)
    except ValueError as error:
        raise ConfigurationError(f"OPS_WEBHOOK_SECRET is wrong: {error}") from None


def _writable_folder(text: str) -> Path:
    if text.startswith("~"):
        raise ConfigurationError(
            "OPS_SPOOL_DIR begins with ~, which only a shell understands; write the whole path"
        )
    folder = Path(text).absolute()  # once: a portal may change its working directory
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"OPS_SPOOL_DIR cannot be made: {error.strerror}: {folder}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(f"OPS_SPOOL_DIR is not writable by this process: {folder}")
    return folder
