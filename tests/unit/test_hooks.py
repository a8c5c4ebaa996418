"""OnboardHooks over real HTTP: what arrives, what is kept back, and that the portal never notices trouble."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from portal_hooks import OnboardHooks, contract
from portal_hooks.moments import MAX_REASON
from tests.servers.process import free_port
from tests.servers.webhook_receiver import SECRET, Answer, Receiver, receiving
from tests.unit.quick_hooks import quick_hooks


def _run_wizard(hooks: OnboardHooks, session_id: str) -> None:
    hooks.started(session_id)
    hooks.domain_validated(session_id, domain="acme.pt", data={"mx": ["mx.acme.pt"]})
    hooks.dns_applied(session_id, applied=["MX", "SPF"], provider="cloudflare")
    hooks.account_created(session_id, account="acme", email="info@acme.pt")
    hooks.infra_synced(session_id)
    hooks.completed(session_id, infra_status="synced")


def test_a_wizard_run_arrives_complete_and_in_order(hooks: OnboardHooks, receiver: Receiver) -> None:
    _run_wizard(hooks, "s1")
    assert hooks.flush()
    assert receiver.types() == list(contract.STAGE_OF)
    assert [event.get("data") for event in receiver.accepted] == [
        None,
        {"domain": "acme.pt", "mx": ["mx.acme.pt"]},
        {"applied": ["MX", "SPF"], "provider": "cloudflare"},
        {"account": "acme", "email": "info@acme.pt"},
        {"success": True},
        {"infra_status": "synced"},
    ]
    assert hooks.stats().delivered == hooks.stats().emitted == 6


def test_what_arrives_is_what_the_contract_reads(hooks: OnboardHooks, receiver: Receiver) -> None:
    event_id = hooks.failed("s1", step="account", code="carbonio_error", reason="Não há ligação")
    assert hooks.flush()
    sent = contract.read_fields(receiver.accepted[0])
    assert (sent.event_id, sent.event_type, sent.session_id) == (event_id, contract.FAILED, "s1")
    assert abs(sent.occurred_at / 1e6 - time.time()) < 10
    data = {"step": "account", "code": "carbonio_error", "reason": "Não há ligação"}
    assert receiver.accepted[0]["data"] == data


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        (TimeoutError("no answer"), "no answer"),
        ("x" * 100_000, "x" * MAX_REASON),
        ("\U0001f4a5" * 100_000, "\U0001f4a5" * MAX_REASON),
        ("a\0b\udc80", "a\ufffdb?"),
    ],
)
def test_a_failure_arrives_whatever_its_reason_is(
    hooks: OnboardHooks, receiver: Receiver, reason: object, sent: str
) -> None:
    hooks.failed("s1", step="account", code="carbonio_error", reason=reason)
    assert hooks.flush()
    assert [event["data"]["reason"] for event in receiver.accepted] == [sent]


def test_started_is_emitted_once_per_session(hooks: OnboardHooks, receiver: Receiver) -> None:
    ids = [hooks.started(session) for session in ("s1", "s1", "s2")]
    assert hooks.flush()
    assert ids[1] is None
    assert [event["event_id"] for event in receiver.accepted] == [ids[0], ids[2]]


def test_started_that_could_not_be_emitted_does_not_use_up_the_first_visit(hooks: OnboardHooks) -> None:
    assert hooks.started("s1", data={"bad": object()}) is None
    assert hooks.started("s1") is not None


def test_dns_applied_with_nothing_applied_emits_nothing(hooks: OnboardHooks, receiver: Receiver) -> None:
    assert hooks.dns_applied("s1", applied=[]) is None
    assert hooks.flush()
    assert receiver.attempts == []
    assert hooks.stats().invalid == 0


def test_emit_takes_its_own_id_time_and_type(hooks: OnboardHooks, receiver: Receiver) -> None:
    moment = datetime(2026, 6, 8, 12, tzinfo=UTC)
    assert hooks.emit("mail.migrated", "s1", "ACME.pt", {"n": 3}, "ev-1", moment) == "ev-1"
    assert hooks.flush()
    assert receiver.accepted == [
        {
            "event_id": "ev-1",
            "event_type": "mail.migrated",
            "session_id": "s1",
            "domain": "ACME.pt",
            "data": {"n": 3},
            "occurred_at": "2026-06-08T12:00:00+00:00",
        }
    ]


@pytest.mark.parametrize(
    "call",
    [
        lambda hooks: hooks.emit("Not A Type", "s1"),
        lambda hooks: hooks.emit("a.b", "session with spaces"),
        lambda hooks: hooks.emit("a.b", None),
        lambda hooks: hooks.emit("a.b", "s1", data={"t": object()}),
        lambda hooks: hooks.emit("a.b", "s1", data={"t": float("nan")}),
        lambda hooks: hooks.emit("a.b", "s1", data={"t": "\ud800"}),
        lambda hooks: hooks.emit("a.b", "s1", data={"t": 2**64}),
        lambda hooks: hooks.emit("a.b", "s1", data={"t": "x" * contract.MAX_EVENT_BYTES}),
        lambda hooks: hooks.emit("a.b", "s1", data="no object"),
        lambda hooks: hooks.emit("a.b", "s1", occurred_at=datetime(2026, 6, 8)),
        lambda hooks: hooks.emit("a.b", "s1", occurred_at=7),
        lambda hooks: hooks.domain_validated("s1", data=["no", "mapping"]),
        lambda hooks: hooks.dns_applied("s1", applied=42),
        lambda hooks: hooks.dns_applied("s1", applied="MX"),
        lambda hooks: hooks.dns_applied("s1", applied=b"MX"),
        lambda hooks: hooks.dns_applied("s1", applied={"MX": "mx.acme.pt"}),
        lambda hooks: hooks.started(None),
    ],
)
def test_a_wrong_call_emits_nothing_and_never_raises(
    hooks: OnboardHooks, receiver: Receiver, caplog: pytest.LogCaptureFixture, call: Any
) -> None:
    with caplog.at_level(logging.WARNING, logger="portal_hooks"):
        assert call(hooks) is None
        assert call(hooks) is None
    assert hooks.flush()
    assert receiver.attempts == []
    assert hooks.stats().invalid == 2
    assert len(caplog.records) == 1


def test_retries_keep_the_ids_and_the_order_and_sign_anew(hooks: OnboardHooks, receiver: Receiver) -> None:
    receiver.answers.extend([Answer(503), Answer(502), Answer(429), Answer(401), Answer(408)])
    receiver.hold.clear()
    _run_wizard(hooks, "s1")
    receiver.hold.set()
    assert hooks.flush()
    assert receiver.types() == list(contract.STAGE_OF)
    first = [event["event_id"] for event in receiver.requests[0]]
    assert all(
        [event["event_id"] for event in request[: len(first)]] == first for request in receiver.requests[:6]
    )
    assert hooks.stats().retries == 5


def test_a_batch_is_signed_anew_at_each_attempt_with_the_same_id(
    hooks: OnboardHooks, receiver: Receiver
) -> None:
    receiver.answers.append(Answer(503, {"retry-after": "1"}))
    hooks.completed("s1")
    assert hooks.flush()
    (first_id, first_signature), (second_id, second_signature) = receiver.deliveries
    assert first_id == second_id
    assert first_signature != second_signature


def test_retry_after_is_obeyed(hooks: OnboardHooks, receiver: Receiver) -> None:
    receiver.answers.append(Answer(503, {"retry-after": "1"}))
    before = time.monotonic()
    hooks.infra_synced("s1")
    assert hooks.flush()
    assert time.monotonic() - before >= 1


@pytest.mark.parametrize("status", ["conflict", "invalid"])
def test_a_refused_event_does_not_hold_up_the_rest(
    hooks: OnboardHooks, receiver: Receiver, status: str
) -> None:
    receiver.refuse = lambda event: status if event["event_type"] == contract.ACCOUNT_CREATED else None
    hooks.account_created("s1")
    hooks.completed("s1")
    assert hooks.flush()
    assert receiver.types() == [contract.COMPLETED]
    stats = hooks.stats()
    assert (stats.refused, stats.delivered, stats.retries) == (1, 1, 0)
    assert stats.last_error == f"{status}: as told"


@pytest.mark.parametrize(("status", "refused"), [("conflict", 0), ("invalid", 1)])
def test_a_started_that_ops_has_already_is_no_dead_letter(
    hooks: OnboardHooks, receiver: Receiver, status: str, refused: int
) -> None:
    receiver.refuse = lambda _: status
    hooks.started("s1")
    assert hooks.flush()
    assert (hooks.stats().refused, hooks.stats().delivered) == (refused, 1 - refused)


def test_events_emitted_while_ops_is_down_arrive_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    hooks = quick_hooks(f"http://127.0.0.1:{port}/hook", tmp_path)
    with caplog.at_level(logging.WARNING, logger="portal_hooks"):
        _run_wizard(hooks, "s1")
        while hooks.stats().retries < 7:
            assert not hooks.flush(timeout=0.01)
        assert hooks.stats().endpoint == "breaker open"
        with receiving(port) as receiver:
            assert hooks.flush()
            assert receiver.types() == list(contract.STAGE_OF)
    assert len(caplog.records) == 1
    hooks.close()


def test_emitting_does_not_wait_for_a_slow_ops(hooks: OnboardHooks, receiver: Receiver) -> None:
    receiver.hold.clear()
    before = time.monotonic()
    for number in range(100):
        hooks.emit("a.b", f"s{number}")
    assert time.monotonic() - before < 5
    assert hooks.stats().pending == 100
    receiver.hold.set()
    assert hooks.flush()


def test_a_full_spool_refuses_the_newest_and_counts_it(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.hold.clear()
    hooks = quick_hooks(receiver.url, tmp_path, spool_limit_bytes=1000)
    with caplog.at_level(logging.WARNING, logger="portal_hooks"):
        ids = [hooks.emit("a.b", "s1", data={"x": "y" * 100}) for _ in range(8)]
    kept = [event_id for event_id in ids if event_id is not None]
    assert 2 <= len(kept) <= 4
    assert ids == kept + [None] * (8 - len(kept))
    receiver.hold.set()
    hooks.close(5)
    assert [event["event_id"] for event in receiver.accepted] == kept
    assert hooks.stats().dropped == 8 - len(kept)
    assert len(caplog.records) == 1


def test_a_spool_found_full_is_delivered_from(receiver: Receiver, tmp_path: Path) -> None:
    earlier = quick_hooks(f"http://127.0.0.1:{free_port()}", tmp_path)
    left = [earlier.emit("a.b", "s1", data={"x": "y" * 200}) for _ in range(4)]
    earlier.close()
    hooks = quick_hooks(receiver.url, tmp_path, spool_limit_bytes=1000)
    assert hooks.emit("a.b", "s1") is None
    assert [event["event_id"] for event in receiver.wait_for("s1", 4)] == left
    hooks.close()


def test_a_spool_removed_under_the_portal_stops_nothing_that_is_emitted_since(
    receiver: Receiver, tmp_path: Path
) -> None:
    hooks = [quick_hooks(receiver.url, tmp_path / "spool") for _ in range(2)]
    for number, one in enumerate(hooks):
        one.emit("before", f"s{number}")
        assert one.flush()
    # A session is parked, so that there is a lane of every kind.
    receiver.judge = lambda events: (
        Answer(500) if any(event["session_id"] == "s2" for event in events) else None
    )
    hooks[0].emit("parked", "s2")
    _wait_for_a_parked_session(tmp_path / "spool")
    # Renamed first: what the delivery writes meanwhile would keep its folder from being removed.
    shutil.rmtree((tmp_path / "spool").rename(tmp_path / "gone"))
    time.sleep(0.02)
    kept = [one.emit("after", "s3") for one in hooks for _ in range(3)]
    assert [event["event_id"] for event in receiver.wait_for("s3", 6, seconds=10)] == kept
    assert all(one.flush() for one in hooks)
    for one in hooks:
        one.close()
    assert len(receiver.of("s3")) == 6


def _wait_for_a_parked_session(folder: Path) -> None:
    deadline = time.monotonic() + 10
    while not list(folder.glob("parked/*/*.seg")):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_close_takes_about_its_timeout_when_ops_hangs(receiver: Receiver, tmp_path: Path) -> None:
    receiver.hold.clear()
    hooks = quick_hooks(receiver.url, tmp_path, timeout=60)
    hooks.completed("s1")
    before = time.monotonic()
    hooks.close(timeout=0.2)
    hooks.close(timeout=0.2)
    assert time.monotonic() - before < 5
    assert hooks.stats().pending == 1
    receiver.hold.set()
    with_next_start = quick_hooks(receiver.url, tmp_path)
    with_next_start.start()
    assert [event["event_type"] for event in receiver.wait_for("s1", 1)] == [contract.COMPLETED]
    with_next_start.close()


def test_what_is_emitted_after_close_is_kept_for_the_next_start(receiver: Receiver, tmp_path: Path) -> None:
    hooks = quick_hooks(receiver.url, tmp_path)
    hooks.close()
    event_id = hooks.completed("s1")
    assert event_id is not None
    hooks._spool.close()
    following = quick_hooks(receiver.url, tmp_path)
    following.start()
    assert [event["event_id"] for event in receiver.wait_for("s1", 1)] == [event_id]
    following.close()


def test_emits_from_async_code(hooks: OnboardHooks, receiver: Receiver) -> None:
    async def endpoint() -> None:
        _run_wizard(hooks, "s1")

    asyncio.run(endpoint())
    assert hooks.flush()
    assert len(receiver.accepted) == 6


def test_a_script_that_just_ends_still_delivers(receiver: Receiver, tmp_path: Path) -> None:
    script = "from portal_hooks import OnboardHooks; OnboardHooks.from_env().completed('s1')"
    environment = os.environ | {
        "OPS_WEBHOOK_URL": receiver.url,
        "OPS_WEBHOOK_SECRET": SECRET,
        "OPS_SPOOL_DIR": str(tmp_path),
    }
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=30)
    assert receiver.types() == [contract.COMPLETED]
