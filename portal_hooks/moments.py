"""The moments of the onboarding wizard, a method for each, whatever becomes of the events."""

from __future__ import annotations

import functools
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Concatenate, Final, ParamSpec

from portal_hooks import contract
from portal_hooks.event_encoding import EncodedEvent, encode_event
from portal_hooks.first_visits import FirstVisits, started_event_id
from portal_hooks.log_once import LogOnce

MAX_REASON: Final = 4_000

_Parameters = ParamSpec("_Parameters")
_Moment = Callable[Concatenate["OnboardMoments", _Parameters], str | None]


def never_raises(moment: _Moment[_Parameters]) -> _Moment[_Parameters]:
    """The portal's customer must not suffer from a report about him: whatever fails is logged and counted."""

    @functools.wraps(moment)
    def guarded(self: OnboardMoments, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> str | None:
        try:
            return moment(self, *args, **kwargs)
        except OSError as error:
            self._note("dropped", moment.__name__, error)
        except Exception as error:
            self._note("invalid", moment.__name__, error)
        return None

    return guarded


@dataclass(frozen=True)
class HookStats:
    """What became of the events of this process."""

    emitted: int
    """Events kept in the spool."""
    invalid: int
    """Calls that made no valid event; each cause is logged once."""
    delivered: int
    refused: int
    """Events given up, refused by Ops or too old: see `ops-portal-outbox dead-letter`."""
    dropped: int
    """Events that could not be kept: the spool at its limit, the disk full or broken."""
    retries: int
    """Failed attempts of this process, if it is the one that delivers for all that share the folder."""
    pending: int
    last_error: str | None
    endpoint: str
    """What is known of Ops: `ok`, `backing off`, `breaker open`, `paused`, `stopped`."""
    clock_skew_seconds: float | None
    """How far Ops' clock is ahead of this host's; None while unknown."""


class OnboardMoments(ABC):
    """Turns each moment into an event and keeps it.

    Every moment returns the event's id, or None when nothing was emitted. No moment raises, or waits for
    anything but the local disk; all may be called from sync and async code and from any thread. `durable`
    waits until the event is safe against a loss of power too, which takes the disk a few milliseconds.
    """

    def __init__(self, visits: FirstVisits) -> None:
        self._visits = visits
        self._log = LogOnce(logging.getLogger("portal_hooks.hooks"))
        self._forget_counts()

    def _forget_counts(self) -> None:
        self._counts: Counter[str] = Counter()
        self._counting = threading.Lock()

    @abstractmethod
    def start(self) -> None:
        """Begin to deliver at once what is left from before; otherwise the first event does that."""

    @abstractmethod
    def flush(self, timeout: float = 5.0) -> bool:
        """Wait up to `timeout` seconds for what this process emitted; True when nothing waits any more."""

    @abstractmethod
    def close(self, timeout: float = 0.8) -> None:
        """Deliver what can be delivered within `timeout` seconds and stop."""

    @abstractmethod
    def stats(self) -> HookStats:
        """What became of the events so far."""

    @abstractmethod
    def _keep(self, event: EncodedEvent, durable: bool) -> None:
        """Take charge of an event. Raises OSError when that is impossible."""

    @never_raises
    def started(
        self,
        session_id: str,
        *,
        domain: str | None = None,
        data: Mapping[str, Any] | None = None,
        durable: bool = False,
    ) -> str | None:
        """The session's first visit in 48 hours; later calls emit nothing."""
        event_id = started_event_id(session_id, time.time())
        event = encode_event(contract.STARTED, session_id, domain, data, event_id)
        if not self._visits.is_first(session_id):
            return None
        try:
            self._keep(event, durable)
        except OSError:
            self._visits.forget(session_id)
            raise
        return event_id

    @never_raises
    def domain_validated(
        self,
        session_id: str,
        domain: str | None = None,
        *,
        data: Mapping[str, Any] | None = None,
        durable: bool = False,
    ) -> str | None:
        """The customer's domain was found valid."""
        fields = _fields(data, domain=domain)
        return self._emit(contract.DOMAIN_VALIDATED, session_id, domain, fields, durable)

    @never_raises
    def dns_applied(
        self,
        session_id: str,
        applied: Sequence[Any],
        *,
        provider: str | None = None,
        domain: str | None = None,
        data: Mapping[str, Any] | None = None,
        durable: bool = False,
    ) -> str | None:
        """DNS records were applied; emits nothing when there were none."""
        if not applied:
            return None
        if isinstance(applied, str | bytes | Mapping):  # a list of its letters or keys would be accepted
            raise TypeError(f"applied is a {type(applied).__name__}, not a list of records")
        fields = _fields(data, applied=list(applied), provider=provider)
        return self._emit(contract.DNS_APPLIED, session_id, domain, fields, durable)

    @never_raises
    def account_created(
        self,
        session_id: str,
        *,
        account: str | None = None,
        email: str | None = None,
        domain: str | None = None,
        data: Mapping[str, Any] | None = None,
        durable: bool = False,
    ) -> str | None:
        """The mail account exists now."""
        fields = _fields(data, account=account, email=email)
        return self._emit(contract.ACCOUNT_CREATED, session_id, domain, fields, durable)

    @never_raises
    def infra_synced(
        self,
        session_id: str,
        *,
        success: bool = True,
        domain: str | None = None,
        data: Mapping[str, Any] | None = None,
        durable: bool = False,
    ) -> str | None:
        """The infrastructure is provisioned. When that failed, do not call it: `completed` says so."""
        fields = _fields(data, success=success)
        return self._emit(contract.INFRA_SYNCED, session_id, domain, fields, durable)

    @never_raises
    def completed(
        self,
        session_id: str,
        infra_status: str | None = None,
        *,
        domain: str | None = None,
        data: Mapping[str, Any] | None = None,
        durable: bool = False,
    ) -> str | None:
        """The wizard is through; `infra_status` is `synced`, `failed` or `skipped`."""
        fields = _fields(data, infra_status=infra_status)
        return self._emit(contract.COMPLETED, session_id, domain, fields, durable)

    @never_raises
    def failed(
        self,
        session_id: str,
        *,
        step: str,
        code: str,
        reason: object,
        domain: str | None = None,
        data: Mapping[str, Any] | None = None,
        durable: bool = False,
    ) -> str | None:
        """The wizard stopped: at which step, a code for counting, a reason for people.

        The reason may be anything, such as the exception; its first MAX_REASON characters are sent.
        """
        fields = _fields(data, step=step, code=code, reason=_sendable(reason))
        return self._emit(contract.FAILED, session_id, domain, fields, durable)

    @never_raises
    def emit(
        self,
        event_type: str,
        session_id: str,
        domain: str | None = None,
        data: Mapping[str, Any] | None = None,
        event_id: str | None = None,
        occurred_at: str | datetime | None = None,
        *,
        durable: bool = False,
    ) -> str | None:
        """Any event. `occurred_at` is now unless given: RFC 3339 text, or a datetime with a time zone."""
        event = encode_event(event_type, session_id, domain, data, event_id, occurred_at)
        self._keep(event, durable)
        return event.event_id

    def _emit(
        self, event_type: str, session_id: str, domain: str | None, data: dict[str, Any], durable: bool
    ) -> str:
        event = encode_event(event_type, session_id, domain, data)
        self._keep(event, durable)
        return event.event_id

    def _note(self, outcome: str, moment: str, error: Exception) -> None:
        with self._counting:
            self._counts[outcome] += 1
        # What SQLAlchemy makes of a driver's error, and a driver's further lines, repeat the customer's data.
        cause = getattr(error, "orig", None) or error
        kind, text = type(cause).__name__, str(cause).partition("\n")[0]
        self._log.warn(f"{moment}: {kind}", "%s emitted nothing: %s: %s", moment, kind, text)


def _sendable(reason: object) -> str:
    """The event that matters most must not fail for its text: nothing here is refused by the contract."""
    text = str(reason)[:MAX_REASON].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-8", "replace").decode()


def _fields(data: Mapping[str, Any] | None, **named: Any) -> dict[str, Any]:
    return {**(data or {}), **{key: value for key, value in named.items() if value is not None}}
