"""The outside world of the wizard, simulated: name servers, Cloudflare, Carbonio and the infrastructure.

Each call succeeds unless the customer's page asks for one of the failures that happen in real life.
"""

from collections.abc import Sequence
from typing import Literal

from portal_hooks.contract import normalise_domain

DomainTrouble = Literal["not_delegated"]
DnsTrouble = Literal["timeout", "nothing_to_apply"]
AccountTrouble = Literal["carbonio_error", "infra_warning"]


class ProviderError(Exception):
    """A provider said no. `code` is for counting, the text for the customer and the operator."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class CloudflareTimeout(ProviderError):
    """Cloudflare's API did not answer in time."""


class CarbonioError(ProviderError):
    """The mail server refused to make the account."""


class DomainRejected(ProviderError):
    """The domain cannot be taken on board."""


def host_name(text: str) -> str | None:
    """The domain in its stored form, or None when the text is no domain name with at least two labels."""
    name = normalise_domain(text.strip())
    return name if name and "." in name else None


def look_up_mail_servers(domain: str, trouble: DomainTrouble | None) -> list[str]:
    """The MX hosts the domain has today. Raises DomainRejected."""
    if trouble == "not_delegated":
        raise DomainRejected("domain_not_delegated", f"{domain} has no name servers: it is not delegated")
    return [f"mx1.{domain}", f"mx2.{domain}"]


def apply_dns_records(records: Sequence[str], trouble: DnsTrouble | None) -> list[str]:
    """Apply the records at Cloudflare; those that were really changed. Raises CloudflareTimeout."""
    if trouble == "timeout":
        raise CloudflareTimeout("dns_timeout", "Cloudflare did not answer within 30 seconds")
    return [] if trouble == "nothing_to_apply" else list(records)


def create_mail_account(account: str, domain: str, trouble: AccountTrouble | None) -> str:
    """Create the mailbox in Carbonio; its address. Raises CarbonioError."""
    if trouble == "carbonio_error":
        raise CarbonioError("carbonio_error", "Carbonio: account.ACCOUNT_EXISTS")
    return f"{account}@{domain}"


def provision_infrastructure(trouble: AccountTrouble | None) -> bool:
    """Set up what surrounds the mailbox; False when that failed, which the wizard only warns about."""
    return trouble != "infra_warning"
