"""scripts/verify-funnel-webhook.sh against a real service: sound, at fault, out of reach, and shared."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

import pytest

from projections.onboarding import fold, process
from tests.running_ops import KEY, RunningOps
from tests.servers.process import free_port

SCRIPT = Path(__file__).parents[2] / "scripts" / "verify-funnel-webhook.sh"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def _start(url: str, token: str, secret: str = SECRET) -> subprocess.Popen[str]:
    environment = os.environ | {"OPS_WEBHOOK_SECRET": secret, "OPS_TOKEN": token}
    return subprocess.Popen(
        [SCRIPT, url], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _verify(url: str, token: str, secret: str = SECRET) -> tuple[int, str, str]:
    process = _start(url, token, secret)
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def test_a_sound_service_passes_twice(ops: RunningOps) -> None:
    for _ in range(2):
        code, output, errors = _verify(ops.url, ops.tokens["read"])
        assert (code, errors) == (0, ""), output
        assert "FAIL" not in output
        assert "funnel: what the runs added to each stage" in output


def test_other_traffic_does_not_disturb_it(ops: RunningOps) -> None:
    processes = [_start(ops.url, ops.tokens["read"]) for _ in range(3)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs


def test_a_wrong_fold_is_shown_and_fails(ops: RunningOps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(process.INFRA_OUTCOMES, "synced", "failed")
    code, output, _ = _verify(ops.url, ops.tokens["read"])
    assert code == 1
    assert "FAIL  in-order: session stands at completed" in output
    assert "expected {'infra_status': 'synced'}" in output
    assert "got      {'infra_status': 'failed'}" in output


def test_a_wrong_stage_is_shown_in_the_funnel(ops: RunningOps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fold._REACHES, "account.created", 4)
    code, output, _ = _verify(ops.url, ops.tokens["read"])
    assert code == 1
    assert "FAIL  sessions at account_created" in output
    assert "FAIL  funnel: what the runs added to each stage" in output


def test_a_wrong_token_or_secret_is_one_clear_line(ops: RunningOps) -> None:
    other_secret = "whsec_" + base64.b64encode(b"x" * 32).decode()
    for token, secret, named in (
        ("ops_wrong", SECRET, "refuses OPS_TOKEN"),
        (ops.tokens["read"], other_secret, "refuses OPS_WEBHOOK_SECRET"),
        (ops.tokens["read"], "whsec_short", "not base64"),
    ):
        code, output, errors = _verify(ops.url, token, secret)
        assert (code, output) == (2, "")
        assert named in errors
        assert errors.count("\n") == 1


def test_a_service_out_of_reach_is_one_clear_line() -> None:
    for url, named in (
        (f"http://127.0.0.1:{free_port()}", "cannot be reached"),
        ("no-address", "URL must be an address"),
        ("http://[::1", "URL must be an address"),
    ):
        code, output, errors = _verify(url, "ops_any")
        assert (code, output) == (2, "")
        assert named in errors
        assert errors.count("\n") == 1
