"""Settings from the environment or `.env`, prefix `OPS_`. A bad value stops the start with one clear line."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import NoDecode

from portal_hooks.contract import MAX_EVENT_BYTES
from portal_hooks.signing import parse_secret
from projections.settings import BadSettings, DatabaseSettings, read

Network = IPv4Network | IPv6Network

PRIVATE_NETWORKS = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7,fe80::/10"


class Settings(DatabaseSettings):
    """All settings of the service."""

    host: str = Field("127.0.0.1", min_length=1)
    """An empty one would listen on every address."""
    port: int = Field(8080, ge=0, le=65535)
    webhook_secrets: Annotated[tuple[tuple[str, bytes], ...], NoDecode] = ()
    """(source, key) pairs, from `vm112-portal=whsec_…,whsec_…;other=whsec_…`."""
    allowed_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        PRIVATE_NETWORKS, validate_default=True
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = ()
    max_event_bytes: int = Field(MAX_EVENT_BYTES, ge=1024, le=4 * 1024 * 1024)
    max_events_per_second: int = Field(10_000, ge=1)
    """What one source may send; beyond it 429."""
    stalled_after_minutes: int = Field(60, ge=1, le=366 * 24 * 60)
    max_connections_of_one: int = Field(256, ge=1)
    """What one address may have open at one time, per process; beyond it 503."""
    max_streams: int = Field(200, ge=1)
    """Live streams open at one time, per process; beyond it 503."""
    max_streams_of_one: int = Field(50, ge=1)
    """Of these, what one operator or token may have; beyond it 429."""
    session_idle_minutes: int = Field(12 * 60, ge=1, le=366 * 24 * 60)
    """Signed out after so long without a request."""
    session_hours: int = Field(7 * 24, ge=1, le=366 * 24)
    """Signed out so long after the sign-in, whatever happens."""
    audit_days: int = Field(365, ge=0, le=36_500)
    """Lines of the audit log are kept so long; 0: for ever."""

    @field_validator("webhook_secrets", mode="before")
    @classmethod
    def _read_secrets(cls, text: object) -> object:
        return _parse_secrets(text) if isinstance(text, str) else text

    @field_validator("allowed_networks", "trusted_proxies", mode="before")
    @classmethod
    def _read_networks(cls, text: object) -> object:
        return _parse_networks(text) if isinstance(text, str) else text


def load() -> Settings:
    """Read the settings. Raises BadSettings with one line that names the variable and never its value."""
    try:
        return read(Settings)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = f"OPS_{'_'.join(map(str, first['loc'])).upper()}"
        raise BadSettings(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None


def _parse_secrets(text: str) -> tuple[tuple[str, bytes], ...]:
    pairs = []
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        source, separator, secrets = entry.partition("=")
        if not separator or not 1 <= len(source.strip()) <= 64:
            raise ValueError("write it as source=whsec_…,whsec_…;other=whsec_…")
        pairs += [(source.strip(), parse_secret(secret.strip())) for secret in secrets.split(",")]
    return tuple(pairs)


def _parse_networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"{error}; write networks as 10.0.0.0/8,192.168.1.7") from None
