"""OnboardHooks: what a portal calls at each moment of its wizard."""

from __future__ import annotations

import atexit
import functools
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Concatenate, ParamSpec

from portal_hooks import contract
from portal_hooks.log_once import LogOnce
from portal_hooks.once import FirstVisits, first_visits, started_event_id
from portal_hooks.sender import Delivery, DirectSender
from portal_hooks.settings import read_settings
from portal_hooks.strict_json import canonical_json, read_json

_Parameters = ParamSpec("_Parameters")
_Moment = Callable[Concatenate["OnboardHooks", _Parameters], str | None]


@dataclass(frozen=True)
class HookStats:
    """Counts of this process since it started."""

    emitted: int
    """Events handed over for delivery."""
    invalid: int
    """Calls that made no valid event; each cause is logged once."""
    delivered: int
    refused: int
    """Events that Ops refused for good (a conflict, a wrong field)."""
    dropped: int
    """Events lost because the queue was full or the hooks were closed."""
    retries: int
    pending: int
    last_error: str | None


def _never_raises(moment: _Moment[_Parameters]) -> _Moment[_Parameters]:
    """The portal's customer must not suffer from a report about him: whatever fails is logged and counted."""

    @functools.wraps(moment)
    def guarded(self: OnboardHooks, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> str | None:
        try:
            return moment(self, *args, **kwargs)
        except Exception as error:
            self._note_invalid(moment.__name__, error)
            return None

    return guarded


class OnboardHooks:
    """Reports the moments of an onboarding wizard to Ops.

    Every moment returns the event's id, or None when nothing was emitted. No moment raises or waits for Ops;
    all may be called from sync and async code and from any thread. For now events wait in memory: what was
    not delivered is lost when the process is killed (see `portal_hooks.sender`).
    """

    def __init__(self, sender: DirectSender, visits: FirstVisits) -> None:
        self._sender = sender
        self._visits = visits
        self._counts: Counter[str] = Counter()
        self._log = LogOnce(logging.getLogger(__name__))
        atexit.register(self.close)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> OnboardHooks:
        """Configured by OPS_WEBHOOK_URL, OPS_WEBHOOK_SECRET, OPS_SPOOL_DIR and, optionally, REDIS_URL.

        Raises ConfigurationError, whose message is one line for whoever starts the portal.
        """
        settings = read_settings(environ)
        visits = first_visits(settings.spool_dir, settings.redis_url)
        return cls(DirectSender(settings.url, settings.key), visits)

    @_never_raises
    def started(
        self, session_id: str, *, domain: str | None = None, data: Mapping[str, Any] | None = None
    ) -> str | None:
        """The session's first visit in 48 hours; later calls emit nothing."""
        event_id = started_event_id(session_id, time.time())
        delivery = _delivery(contract.STARTED, session_id, domain, data, event_id)
        return self._submit(delivery) if self._visits.is_first(session_id) else None

    @_never_raises
    def domain_validated(
        self, session_id: str, domain: str | None = None, *, data: Mapping[str, Any] | None = None
    ) -> str | None:
        """The customer's domain was found valid."""
        fields = _fields(data, domain=domain)
        return self.emit(contract.DOMAIN_VALIDATED, session_id, domain=domain, data=fields)

    @_never_raises
    def dns_applied(
        self,
        session_id: str,
        applied: Sequence[Any],
        *,
        provider: str | None = None,
        domain: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> str | None:
        """DNS records were applied; emits nothing when there were none."""
        if not applied:
            return None
        fields = _fields(data, applied=list(applied), provider=provider)
        return self.emit(contract.DNS_APPLIED, session_id, domain=domain, data=fields)

    @_never_raises
    def account_created(
        self,
        session_id: str,
        *,
        account: str | None = None,
        email: str | None = None,
        domain: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> str | None:
        """The mail account exists now."""
        fields = _fields(data, account=account, email=email)
        return self.emit(contract.ACCOUNT_CREATED, session_id, domain=domain, data=fields)

    @_never_raises
    def infra_synced(
        self,
        session_id: str,
        *,
        success: bool = True,
        domain: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> str | None:
        """The infrastructure is provisioned. When that failed, do not call it: `completed` says so."""
        fields = _fields(data, success=success)
        return self.emit(contract.INFRA_SYNCED, session_id, domain=domain, data=fields)

    @_never_raises
    def completed(
        self,
        session_id: str,
        infra_status: str | None = None,
        *,
        domain: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> str | None:
        """The wizard is through; `infra_status` is `synced`, `failed` or `skipped`."""
        fields = _fields(data, infra_status=infra_status)
        return self.emit(contract.COMPLETED, session_id, domain=domain, data=fields)

    @_never_raises
    def failed(
        self,
        session_id: str,
        *,
        step: str,
        code: str,
        reason: str,
        domain: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> str | None:
        """The wizard stopped: at which step, a code for counting, a reason for people."""
        fields = _fields(data, step=step, code=code, reason=reason)
        return self.emit(contract.FAILED, session_id, domain=domain, data=fields)

    @_never_raises
    def emit(
        self,
        event_type: str,
        session_id: str,
        domain: str | None = None,
        data: Mapping[str, Any] | None = None,
        event_id: str | None = None,
        occurred_at: str | datetime | None = None,
    ) -> str | None:
        """Any event. `occurred_at` is now unless given: RFC 3339 text, or a datetime with a time zone."""
        return self._submit(_delivery(event_type, session_id, domain, data, event_id, occurred_at))

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait up to `timeout` seconds for everything emitted to be delivered; True when it is."""
        return self._sender.flush(timeout)

    def close(self, timeout: float = 1.0) -> None:
        """Deliver what can be delivered within `timeout` seconds and stop. May be called twice."""
        atexit.unregister(self.close)
        undelivered = self._sender.close(timeout)
        if undelivered:
            self._log.warn("closed", "%d events were not delivered before the hooks were closed", undelivered)

    def stats(self) -> HookStats:
        """What became of the events so far."""
        return HookStats(
            emitted=self._counts["emitted"],
            invalid=self._counts["invalid"],
            last_error=self._sender.last_error,
            **self._sender.counts(),
        )

    def _submit(self, delivery: Delivery) -> str | None:
        if not self._sender.submit(delivery):
            self._log.warn("dropped", "event %s was dropped: the queue is full or closed", delivery.event_id)
            return None
        self._counts["emitted"] += 1
        return delivery.event_id

    def _note_invalid(self, moment: str, error: Exception) -> None:
        self._counts["invalid"] += 1
        kind = type(error).__name__
        self._log.warn(f"{moment}: {kind}", "%s emitted nothing: %s: %s", moment, kind, error)


def _fields(data: Mapping[str, Any] | None, **named: Any) -> dict[str, Any]:
    return {**(data or {}), **{key: value for key, value in named.items() if value is not None}}


def _instant_text(moment: str | datetime | None) -> str:
    if moment is None:
        return contract.utc_now_rfc3339()
    return moment if isinstance(moment, str) else moment.isoformat()


def _delivery(
    event_type: str,
    session_id: str,
    domain: str | None,
    data: Mapping[str, Any] | None,
    event_id: str | None = None,
    occurred_at: str | datetime | None = None,
) -> Delivery:
    """Serialise and check as Ops will, so that a wrong call shows here and not in a queue that cannot drain.

    Raises ValueError or TypeError.
    """
    envelope = {
        "event_id": event_id or contract.new_event_id(),
        "event_type": event_type,
        "session_id": session_id,
        "occurred_at": _instant_text(occurred_at),
        "domain": domain,
        "data": data,
    }
    body = canonical_json({key: value for key, value in envelope.items() if value is not None}).encode()
    if len(body) > contract.MAX_EVENT_BYTES:
        raise ValueError(f"the event has {len(body)} bytes, more than {contract.MAX_EVENT_BYTES}")
    return Delivery(contract.parse_envelope(read_json(body)).event_id, body)
