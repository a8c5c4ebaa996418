"""The webhook contract: event types, stages, and what makes an event valid.

Everything a publisher and the receiver must agree on stands here and nowhere else. The receiver reads
strictly: what is accepted means the same to every JSON reader and to both databases.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import idna

from portal_hooks.instants import parse_instant

STARTED: Final = "onboarding.started"
DOMAIN_VALIDATED: Final = "domain.validated"
DNS_APPLIED: Final = "dns.applied"
ACCOUNT_CREATED: Final = "account.created"
INFRA_SYNCED: Final = "infra.synced"
COMPLETED: Final = "onboarding.completed"
FAILED: Final = "onboarding.failed"

STAGE_OF: Final[Mapping[str, str]] = {
    STARTED: "started",
    DOMAIN_VALIDATED: "domain_validated",
    DNS_APPLIED: "dns_applied",
    ACCOUNT_CREATED: "account_created",
    INFRA_SYNCED: "infra_synced",
    COMPLETED: "completed",
}
"""The stage each progress event reaches, in stage order."""

STAGES: Final = tuple(STAGE_OF.values())
STAGE_INDEX: Final = {stage: index for index, stage in enumerate(STAGES)}
FAILED_STAGE: Final = "failed"
"""An outcome beside the stage order, never a stage of its own."""

EVENT_TYPES: Final = (*STAGE_OF, FAILED)

MAX_EVENT_BYTES: Final = 64 * 1024
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
MAX_BATCH_ITEMS: Final = 500


IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_\-:]{1,128}")
EVENT_TYPE: Final = re.compile(r"[a-z0-9_.\-]{1,64}")
_LABEL = r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?"
# A last label of digits alone would make it an IPv4 address.
_HOST_NAME = re.compile(rf"(?:{_LABEL}\.)*(?![0-9]+\Z){_LABEL}")


class FieldError(NamedTuple):
    """One wrong field: where (a JSON pointer, RFC 6901) and what is wrong. Never holds the value."""

    pointer: str
    detail: str


class InvalidEvent(ValueError):
    """The JSON is well formed but is no event of this contract; `errors` names every wrong field."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{error.pointer or '(whole)'}: {error.detail}" for error in errors))
        self.errors = errors


class Fields(NamedTuple):
    """What a valid event says of itself."""

    event_id: str
    event_type: str
    session_id: str
    occurred_at: int
    """Microseconds since 1970, UTC."""
    domain: str | None
    """Lower-case A-label form, without a trailing dot."""


def read_fields(value: object) -> Fields:
    """Read a native event from parsed JSON. Raises InvalidEvent naming all wrong fields at once."""
    if not isinstance(value, dict):
        raise InvalidEvent([FieldError("", "must be a JSON object")])
    errors: list[FieldError] = []
    event_id = _text(value, "event_id", IDENTIFIER, "1 to 128 of A-Z a-z 0-9 _ - :", errors)
    event_type = _text(value, "event_type", EVENT_TYPE, "1 to 64 of a-z 0-9 _ . -", errors)
    session_id = _text(value, "session_id", IDENTIFIER, "1 to 128 of A-Z a-z 0-9 _ - :", errors)
    occurred_at = _instant(value, errors)
    domain = _domain(value, errors)
    if errors:
        raise InvalidEvent(errors)
    return Fields(event_id, event_type, session_id, occurred_at, domain)


def normalise_domain(name: str) -> str | None:
    """The host name in lower-case A-label form without a trailing dot, or None when it is no host name.

    Internationalised names follow UTS 46 and IDNA 2008.
    """
    name = name.removesuffix(".").lower()
    if not name.isascii() or "xn--" in name:
        try:
            # Other scripts have full stops of their own; in the A-label form there is one.
            name = idna.encode(name, uts46=True).decode().removesuffix(".")
        except idna.IDNAError:
            return None
    return name if len(name) <= 253 and _HOST_NAME.fullmatch(name) else None


def _text(
    value: dict[str, Any],
    key: str,
    form: re.Pattern[str],
    allowed: str,
    errors: list[FieldError],
) -> str:
    item = value.get(key)
    if isinstance(item, str) and form.fullmatch(item):
        return item
    errors.append(
        FieldError(
            f"/{key}",
            "is required" if item is None else f"must be a string of {allowed}",
        )
    )
    return ""


def _instant(value: dict[str, Any], errors: list[FieldError]) -> int:
    item = value.get("occurred_at")
    try:
        if isinstance(item, str):
            return parse_instant(item)
        detail = "is required" if item is None else "must be a string"
    except ValueError as error:
        detail = str(error)
    errors.append(FieldError("/occurred_at", detail))
    return 0


def _domain(value: dict[str, Any], errors: list[FieldError]) -> str | None:
    data = value.get("data")
    if data is not None and not isinstance(data, dict):
        errors.append(FieldError("/data", "must be an object"))
        data = None
    given = value.get("domain")
    if given is None:
        inner = data.get("domain") if data else None
        return normalise_domain(inner) if isinstance(inner, str) else None
    domain = normalise_domain(given) if isinstance(given, str) else None
    if domain is None:
        errors.append(FieldError("/domain", "must be a host name such as acme.pt"))
    return domain
