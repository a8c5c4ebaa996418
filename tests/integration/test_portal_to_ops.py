"""The whole way: a customer at the reference portal, OnboardHooks, signed HTTP, what the desk shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from portal_hooks import OnboardHooks
from portal_hooks.reference_portal import create_app
from portal_hooks.settings import HookSettings
from tests.running_ops import INGRESS, KEY, SOURCE, RunningOps


@pytest.fixture
def hooks(ops: RunningOps, tmp_path: Path) -> OnboardHooks:
    return OnboardHooks(HookSettings(ops.url + INGRESS, KEY, _folder(tmp_path / "spool")))


@pytest.fixture
def portal(hooks: OnboardHooks) -> Iterator[TestClient]:
    with TestClient(create_app(hooks)) as client:
        yield client


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _post(portal: TestClient, path: str, **body: Any) -> Any:
    return portal.post(path, json=body).json()


def test_a_wizard_run_shows_at_the_desk(portal: TestClient, hooks: OnboardHooks, ops: RunningOps) -> None:
    session = _post(portal, "/validate-domain", domain="Acme.PT")["session_id"]
    _post(portal, "/dns/cloudflare/apply", session_id=session, simulate="timeout")
    _post(portal, "/dns/cloudflare/apply", session_id=session)
    _post(portal, "/account/create", session_id=session, account="info")
    assert hooks.flush(10)

    row = ops.get(f"/api/v1/onboard/sessions/{session}")
    assert (row["domain"], row["source"], row["infra_status"]) == ("acme.pt", SOURCE, "synced")
    timeline = ops.get(f"/api/v1/onboard/sessions/{session}/timeline")
    assert [(event["event_type"], event["effect"]) for event in timeline["events"]] == [
        ("onboarding.started", "advanced"),
        ("domain.validated", "advanced"),
        ("onboarding.failed", "failed"),
        ("dns.applied", "recovered"),
        ("account.created", "advanced"),
        ("infra.synced", "advanced"),
        ("onboarding.completed", "advanced"),
    ]
    ticket = ops.get(f"/api/v1/desk/tickets/{row['ticket_id']}")
    assert ticket["tags"] == ["ready_for_ops"]
    assert ops.get("/api/v1/onboard/funnel")["stages"]["completed"] == 1


def test_a_failed_account_stands_in_the_funnel(
    portal: TestClient, hooks: OnboardHooks, ops: RunningOps
) -> None:
    session = _post(portal, "/validate-domain", domain="acme.pt")["session_id"]
    _post(portal, "/account/create", session_id=session, account="info", simulate="carbonio_error")
    assert hooks.flush(10)
    row = ops.get(f"/api/v1/onboard/sessions/{session}")
    assert (row["current_stage"], row["furthest_stage"]) == ("failed", "domain_validated")
    assert row["failure"]["code"] == "carbonio_error"
    assert ops.get("/api/v1/onboard/funnel")["failures"] == [{"code": "carbonio_error", "count": 1}]


def test_the_same_started_emitted_by_two_hosts_is_stored_once(ops: RunningOps, tmp_path: Path) -> None:
    hosts = [
        OnboardHooks(HookSettings(ops.url + INGRESS, KEY, _folder(tmp_path / name)))
        for name in ("one", "other")
    ]
    ids = {host.started("shared-session") for host in hosts}
    assert all(host.flush(10) for host in hosts)
    assert len(ids) == 1
    assert ops.get("/api/v1/onboard/sessions/shared-session")["event_count"] == 1
    assert [(host.stats().delivered, host.stats().refused) for host in hosts] == [(1, 0), (1, 0)]
    assert not list(tmp_path.glob("*/dead/*"))
    rejected = ops.get("/api/v1/rejected-deliveries")["rejected"]
    assert [delivery["status"] for delivery in rejected] == [409]
    for host in hosts:
        host.close()
