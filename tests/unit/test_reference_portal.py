"""The reference portal: which hook speaks at which moment, what the customer is told, and no surprises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal_hooks import OnboardHooks
from portal_hooks.reference_portal import create_app
from portal_hooks.reference_portal.app import STATIC
from portal_hooks.settings import HookSettings
from portal_hooks.signing import parse_secret
from tests.servers.webhook_receiver import SECRET, Receiver, receiving

DESK = "http://127.0.0.1:8080"
PATHS = ("/validate-domain", "/dns/cloudflare/apply", "/account/create")

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["domain", "session_id", "simulate", "records", "account"])


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture(scope="module")
def portal(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    hooks = OnboardHooks(HookSettings(receiver.url, parse_secret(SECRET), tmp_path_factory.mktemp("spool")))
    with TestClient(create_app(hooks, desk_url=DESK)) as client:
        yield client


class Customer:
    """Clicks through the wizard as one session."""

    def __init__(self, portal: TestClient, receiver: Receiver) -> None:
        self._portal = portal
        self._receiver = receiver
        self.session_id: str | None = None

    def post(self, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
        if self.session_id is not None:
            body["session_id"] = self.session_id
        response = self._portal.post(path, json=body)
        answer: dict[str, Any] = response.json()
        self.session_id = answer.get("session_id", self.session_id)
        return response.status_code, answer

    def story(self, count: int) -> list[dict[str, Any]]:
        """The events of this session that reached Ops, once there are `count`."""
        events = self._receiver.wait_for(self.session_id or "", count)
        assert len(events) == count, [event["event_type"] for event in events]
        return events


@pytest.fixture
def customer(portal: TestClient, receiver: Receiver) -> Customer:
    return Customer(portal, receiver)


def _types(events: list[dict[str, Any]]) -> list[str]:
    return [event["event_type"] for event in events]


def test_a_whole_run_reports_every_moment_in_order(customer: Customer) -> None:
    status, answer = customer.post("/validate-domain", domain="Ação.PT.")
    assert (status, answer["domain"]) == (200, "xn--ao-siap.pt")
    assert customer.post("/dns/cloudflare/apply", records=["MX", "SPF"])[0] == 200
    status, answer = customer.post("/account/create", account="info")
    assert (status, answer["result"]["infra_status"]) == (200, "synced")
    story = customer.story(6)
    assert _types(story) == [
        "onboarding.started",
        "domain.validated",
        "dns.applied",
        "account.created",
        "infra.synced",
        "onboarding.completed",
    ]
    assert story[2]["data"] == {"applied": ["MX", "SPF"], "provider": "cloudflare"}
    assert story[3]["data"] == {"account": "info", "email": "info@xn--ao-siap.pt"}
    assert story[5]["data"] == {"infra_status": "synced"}


def test_the_answer_names_each_hook_and_its_event(customer: Customer) -> None:
    _, answer = customer.post("/validate-domain", domain="acme.pt")
    story = customer.story(2)
    assert answer["emitted"] == [
        {"hook": "started", "event_id": story[0]["event_id"]},
        {"hook": "domain_validated", "event_id": story[1]["event_id"]},
    ]


def test_validating_again_does_not_start_again(customer: Customer) -> None:
    customer.post("/validate-domain", domain="acme.pt")
    _, answer = customer.post("/validate-domain", domain="acme.com")
    assert answer["emitted"][0] == {"hook": "started", "event_id": None}
    assert _types(customer.story(3)).count("onboarding.started") == 1


def test_a_typing_error_starts_the_session_but_is_no_failure(customer: Customer) -> None:
    status, answer = customer.post("/validate-domain", domain="not a domain")
    assert (status, answer["title"]) == (422, "Not a domain")
    assert _types(customer.story(1)) == ["onboarding.started"]


@pytest.mark.parametrize(
    ("path", "body", "step", "code"),
    [
        (
            "/validate-domain",
            {"domain": "acme.pt", "simulate": "not_delegated"},
            "domain",
            "domain_not_delegated",
        ),
        ("/dns/cloudflare/apply", {"simulate": "timeout"}, "dns", "dns_timeout"),
        ("/account/create", {"account": "info", "simulate": "carbonio_error"}, "account", "carbonio_error"),
    ],
)
def test_a_failed_step_reports_why(
    customer: Customer, path: str, body: dict[str, Any], step: str, code: str
) -> None:
    customer.post("/validate-domain", domain="acme.pt")
    status, answer = customer.post(path, **body)
    assert (status, answer["code"]) == (400, code)
    assert answer["emitted"][-1]["hook"] == "failed"
    event = customer.story(2 + len(answer["emitted"]) - (path == "/validate-domain"))[-1]
    assert event["event_type"] == "onboarding.failed"
    assert event["data"] == {"step": step, "code": code, "reason": answer["detail"]}


def test_dns_that_changed_nothing_tells_nothing(customer: Customer) -> None:
    customer.post("/validate-domain", domain="acme.pt")
    status, answer = customer.post("/dns/cloudflare/apply", simulate="nothing_to_apply")
    assert (status, answer["emitted"]) == (200, [{"hook": "dns_applied", "event_id": None}])
    customer.post("/account/create", account="info")
    assert "dns.applied" not in _types(customer.story(5))


def test_an_infrastructure_warning_omits_infra_synced(customer: Customer) -> None:
    customer.post("/validate-domain", domain="acme.pt")
    status, _ = customer.post("/account/create", account="info", simulate="infra_warning")
    assert status == 200
    story = customer.story(4)
    assert _types(story)[2:] == ["account.created", "onboarding.completed"]
    assert story[3]["data"] == {"infra_status": "failed"}


@pytest.mark.parametrize("path", PATHS[1:])
def test_a_step_out_of_order_is_refused(portal: TestClient, path: str) -> None:
    body = {"session_id": "unknown"} | ({"account": "info"} if "account" in path else {})
    response = portal.post(path, json=body)
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", PATHS)
def test_a_large_request_is_refused_as_a_problem(portal: TestClient, path: str) -> None:
    response = portal.post(path, json={"domain": "a" * 70_000})
    assert response.status_code == 413
    assert response.json()["status"] == 413


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(path=st.sampled_from(PATHS), body=st.dictionaries(fields, json_values, max_size=4) | json_values)
def test_no_request_makes_the_wizard_fail(portal: TestClient, path: str, body: Any) -> None:
    response = portal.post(path, json=body)
    assert response.status_code < 500
    if response.status_code >= 400:
        problem = response.json()
        assert problem["status"] == response.status_code
        assert problem["detail"]


@settings(max_examples=100)
@given(path=st.sampled_from(PATHS), body=st.binary(max_size=200))
def test_no_bytes_make_the_wizard_fail(portal: TestClient, path: str, body: bytes) -> None:
    response = portal.post(path, content=body, headers={"content-type": "application/json"})
    assert 400 <= response.status_code < 500


def test_status_shows_the_counts_and_the_desk(portal: TestClient, customer: Customer) -> None:
    customer.post("/validate-domain", domain="acme.pt")
    customer.story(2)
    status = portal.get("/status").json()
    assert status["desk_url"] == DESK
    assert status["events"]["delivered"] >= 2


def test_every_page_and_file_has_a_strict_policy(portal: TestClient) -> None:
    for path in ("/", "/status", *(f"/static/{file.name}" for file in STATIC.iterdir())):
        response = portal.get(path)
        assert response.status_code == 200
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy


def test_the_page_names_no_other_host_and_has_no_inline_code() -> None:
    page = (STATIC / "index.html").read_text("utf-8")
    assert page.count("<script") == page.count('<script type="module" src="/static/')
    for forbidden in ("http:", "https:", "<style", " style=", "onclick", "onsubmit", "javascript:"):
        assert forbidden not in page


def test_the_hooks_are_closed_with_the_portal(receiver: Receiver, tmp_path: Path) -> None:
    hooks = OnboardHooks(HookSettings(receiver.url, parse_secret(SECRET), tmp_path))
    with TestClient(create_app(hooks)) as client:
        assert client.get("/status").json()["desk_url"] is None
        assert client.post("/validate-domain", json={"domain": "acme.pt"}).status_code == 200
    assert hooks.stats().delivered == 2
