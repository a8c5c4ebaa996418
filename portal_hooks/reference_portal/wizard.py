"""The wizard's three endpoints. Read it for the hooks: each stands at the moment the contract names."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Any, Literal, NoReturn

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from portal_hooks.moments import OnboardMoments
from portal_hooks.reference_portal import providers
from portal_hooks.reference_portal.problems import Problem
from portal_hooks.reference_portal.providers import CarbonioError, ProviderError

MAX_SESSIONS = 10_000
MAX_REQUEST_BYTES = 64 * 1024

SessionId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-:]{1,128}$")]
Record = Literal["MX", "SPF", "DKIM", "DMARC"]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ValidateDomain(_Request):
    """`session_id` is what an earlier answer gave; without one a new session begins."""

    domain: str = Field(max_length=253)
    session_id: SessionId | None = None
    simulate: providers.DomainTrouble | None = None


class ApplyDns(_Request):
    """Which records to apply for the session's domain."""

    session_id: SessionId
    records: list[Record] = Field(default=["MX", "SPF", "DKIM", "DMARC"], max_length=4)
    simulate: providers.DnsTrouble | None = None


class CreateAccount(_Request):
    """The local part of the new address."""

    session_id: SessionId
    account: str = Field(pattern=r"^[a-z0-9]([a-z0-9._\-]{0,62}[a-z0-9])?$")
    simulate: providers.AccountTrouble | None = None


class Emitted(BaseModel):
    """A hook that was called, and the id of the event it emitted (null: it emitted none)."""

    hook: str
    event_id: str | None


class StepDone(BaseModel):
    """What a step of the wizard did, and what Ops was told about it."""

    session_id: str
    domain: str
    result: dict[str, Any]
    emitted: list[Emitted]


class Sessions:
    """The domain each running session has validated; the oldest give way."""

    def __init__(self) -> None:
        self._domains: OrderedDict[str, str | None] = OrderedDict()

    def resume(self, session_id: str | None) -> str:
        """The session if it is still known, else a new one."""
        if session_id is None or session_id not in self._domains:
            session_id = secrets.token_hex(16)
            self._domains[session_id] = None
            while len(self._domains) > MAX_SESSIONS:
                self._domains.popitem(last=False)
        return session_id

    def validate(self, session_id: str, domain: str) -> None:
        self._domains[session_id] = domain

    def domain(self, session_id: str) -> str:
        """Raises Problem when the session has not validated a domain here."""
        domain = self._domains.get(session_id)
        if domain is None:
            raise Problem(409, "Step out of order", "Validate a domain first, with this session.")
        return domain


class Wizard:
    """The steps, as the portal's endpoints run them."""

    def __init__(self, hooks: OnboardMoments, sessions: Sessions) -> None:
        self._hooks = hooks
        self._sessions = sessions

    def validate_domain(self, request: ValidateDomain) -> StepDone:
        session_id = self._sessions.resume(request.session_id)
        step = _Step(session_id)
        step.tell(self._hooks.started)
        domain = providers.host_name(request.domain)
        if domain is None:
            raise Problem(422, "Not a domain", "The domain must look like acme.pt.", **step.report())
        try:
            mx = providers.look_up_mail_servers(domain, request.simulate)
        except ProviderError as error:
            self._fail(step, "domain", error, domain)
        self._sessions.validate(session_id, domain)
        step.tell(self._hooks.domain_validated, domain=domain, data={"mx": mx})
        return step.done(domain, mx=mx)

    def apply_dns(self, request: ApplyDns) -> StepDone:
        domain = self._sessions.domain(request.session_id)
        step = _Step(request.session_id)
        try:
            applied = providers.apply_dns_records(request.records, request.simulate)
        except ProviderError as error:
            self._fail(step, "dns", error, domain)
        step.tell(self._hooks.dns_applied, applied=applied, provider="cloudflare", domain=domain)
        return step.done(domain, applied=applied)

    def create_account(self, request: CreateAccount) -> StepDone:
        domain = self._sessions.domain(request.session_id)
        step = _Step(request.session_id)
        try:
            email = providers.create_mail_account(request.account, domain, request.simulate)
        except CarbonioError as error:
            self._fail(step, "account", error, domain)
        step.tell(self._hooks.account_created, account=request.account, email=email, domain=domain)
        provisioned = providers.provision_infrastructure(request.simulate)
        if provisioned:
            step.tell(self._hooks.infra_synced, domain=domain)
        infra_status = "synced" if provisioned else "failed"
        step.tell(self._hooks.completed, infra_status=infra_status, domain=domain)
        return step.done(domain, email=email, infra_status=infra_status)

    def _fail(self, step: _Step, name: str, error: ProviderError, domain: str) -> NoReturn:
        step.tell(self._hooks.failed, step=name, code=error.code, reason=error.reason, domain=domain)
        raise Problem(400, "The step failed", error.reason, code=error.code, **step.report()) from error


class _Step:
    """One request's account of the hooks it called."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._emitted: list[Emitted] = []

    def tell(self, hook: Callable[..., str | None], **details: Any) -> None:
        event_id = hook(self._session_id, **details)
        self._emitted.append(Emitted(hook=hook.__name__, event_id=event_id))

    def report(self) -> dict[str, Any]:
        emitted = [one.model_dump() for one in self._emitted]
        return {"session_id": self._session_id, "emitted": emitted}

    def done(self, domain: str, **result: Any) -> StepDone:
        return StepDone(session_id=self._session_id, domain=domain, result=result, emitted=self._emitted)


def routes(hooks: OnboardMoments) -> APIRouter:
    """The wizard's endpoints, reporting to `hooks`."""
    wizard = Wizard(hooks, Sessions())
    router = APIRouter(max_body_size=MAX_REQUEST_BYTES)
    router.post("/validate-domain")(wizard.validate_domain)
    router.post("/dns/cloudflare/apply")(wizard.apply_dns)
    router.post("/account/create")(wizard.create_account)
    return router
