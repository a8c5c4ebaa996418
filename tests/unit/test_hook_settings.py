"""The portal's settings: what hooks make of their environment, and how they refuse it."""

from pathlib import Path

import pytest

from portal_hooks import ConfigurationError, OnboardHooks
from tests.servers.webhook_receiver import SECRET, Receiver


def _environment(tmp_path: Path, **changes: str) -> dict[str, str]:
    usual = {
        "OPS_WEBHOOK_URL": "http://127.0.0.1:9",
        "OPS_WEBHOOK_SECRET": SECRET,
        "OPS_SPOOL_DIR": str(tmp_path / "spool"),
    }
    return usual | changes


def test_from_env_completes_a_bare_address(receiver: Receiver, tmp_path: Path) -> None:
    base = receiver.url.removesuffix("/hook")
    hooks = OnboardHooks.from_env(_environment(tmp_path, OPS_WEBHOOK_URL=base))
    hooks.completed("s1")
    assert hooks.flush()
    hooks.close()
    assert receiver.paths == ["/api/v1/webhooks/onboard/batch"]


def test_a_relative_spool_stays_where_it_was_when_the_portal_moves(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hooks = OnboardHooks.from_env(_environment(tmp_path, OPS_WEBHOOK_URL=receiver.url, OPS_SPOOL_DIR="spool"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    hooks.completed("s1")
    assert hooks.flush()
    hooks.close()
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"OPS_WEBHOOK_URL": ""}, "OPS_WEBHOOK_URL is not set"),
        ({"OPS_WEBHOOK_URL": "vm122:8080"}, "OPS_WEBHOOK_URL is not an http"),
        ({"OPS_WEBHOOK_URL": "http://[::1"}, "OPS_WEBHOOK_URL is not an http"),
        ({"OPS_WEBHOOK_URL": "http://x/?token=c2VjcmV0"}, "OPS_WEBHOOK_URL has a query or a fragment"),
        ({"OPS_WEBHOOK_URL": "http://x/hook?"}, "OPS_WEBHOOK_URL has a query or a fragment"),
        ({"OPS_WEBHOOK_URL": "http://x#ops"}, "OPS_WEBHOOK_URL has a query or a fragment"),
        ({"OPS_WEBHOOK_SECRET": ""}, "OPS_WEBHOOK_SECRET is not set"),
        ({"OPS_WEBHOOK_SECRET": "whsec_c2VjcmV0"}, "OPS_WEBHOOK_SECRET is wrong"),
        ({"OPS_SPOOL_DIR": ""}, "OPS_SPOOL_DIR is not set"),
        ({"OPS_SPOOL_DIR": "~/spool"}, "OPS_SPOOL_DIR begins with ~"),
        ({"OPS_SPOOL_DIR": "/dev/null/spool"}, "OPS_SPOOL_DIR cannot be made"),
        ({"REDIS_URL": "localhost"}, "REDIS_URL is not an address"),
        ({"OPS_SPOOL_LIMIT_MB": "lots"}, "OPS_SPOOL_LIMIT_MB is not a whole number"),
        ({"OPS_SPOOL_LIMIT_MB": "9" * 5000}, "OPS_SPOOL_LIMIT_MB is not a whole number"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(
    tmp_path: Path, changes: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as error:
        OnboardHooks.from_env(_environment(tmp_path, **changes))
    assert "\n" not in str(error.value)
    assert "c2VjcmV0" not in str(error.value)
