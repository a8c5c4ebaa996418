"""Settings from the environment: read as documented, and a bad value stops the start with one line."""

import base64
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from ops_service.settings import Settings, load
from portal_hooks.contract import MAX_EVENT_BYTES
from projections.settings import BadSettings

SECRET = "whsec_" + base64.b64encode(b"a" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"b" * 24).decode()


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder without .env, and none of our variables."""
    monkeypatch.chdir(tmp_path)
    for field in Settings.model_fields:
        monkeypatch.delenv(f"OPS_{field.upper()}", raising=False)


def load_with(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    for name, value in values.items():
        monkeypatch.setenv(f"OPS_{name}", value)
    return load()


def test_the_defaults_are_the_documented_ones() -> None:
    settings = load()
    assert settings.database_url == "sqlite:///var/ops.db"
    assert settings.port == 8080
    assert settings.webhook_secrets == ()
    assert settings.trusted_proxies == ()
    assert settings.max_event_bytes == MAX_EVENT_BYTES == 65_536
    assert settings.stalled_after_minutes == 60
    assert any(ip_address("127.0.0.1") in network for network in settings.allowed_networks)
    assert not any(ip_address("8.8.8.8") in network for network in settings.allowed_networks)


def test_several_sources_and_several_secrets_each(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"vm112-portal={SECRET},{OTHER}; other = {SECRET};"
    assert load_with(monkeypatch, WEBHOOK_SECRETS=text).webhook_secrets == (
        ("vm112-portal", b"a" * 32),
        ("vm112-portal", b"b" * 24),
        ("other", b"a" * 32),
    )


def test_networks_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_with(
        monkeypatch, ALLOWED_NETWORKS="10.0.0.0/8, 192.168.1.7,fd00::/8", TRUSTED_PROXIES="::1"
    )
    assert settings.allowed_networks == tuple(
        ip_network(text) for text in ("10.0.0.0/8", "192.168.1.7/32", "fd00::/8")
    )
    assert settings.trusted_proxies == (ip_network("::1/128"),)


def test_env_file_and_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPS_PORT=9001\nOPS_STALLED_AFTER_MINUTES=5\nUNRELATED=1\n")
    settings = load_with(monkeypatch, PORT="9002")
    assert (settings.port, settings.stalled_after_minutes) == (9002, 5)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("OPS_HOST=::1\n\n# the port\nOPS_PORT 9001 Zx9\n", 4),
        ("\n\n  OPS_PORT: 9001 Zx9\nOPS_HOST=::1\n", 3),
        ("OPS_HOST=::1\nOPS_PORT\n", 2),
        ('OPS_HOST=::1\r\nOPS_WEBHOOK_SECRETS="portal=Zx9', 2),
    ],
)
def test_a_line_of_the_env_file_that_cannot_be_read_is_named(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / ".env").write_text(text)
    with pytest.raises(BadSettings) as refused:
        load()
    assert str(refused.value) == f"{tmp_path / '.env'}, line {line}, cannot be read; write it as NAME=value"


def test_every_spelling_of_a_sound_env_file_is_read(tmp_path: Path) -> None:
    text = "\ufeff# the desk\n\nexport OPS_HOST='::1'  # here\nOPS_TRUSTED_PROXIES=\nOPS_PORT = \"9001\"\r\n"
    (tmp_path / ".env").write_text(text)
    settings = load()
    assert (settings.host, settings.port, settings.trusted_proxies) == ("::1", 9001, ())


def test_an_env_file_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadSettings, match=r"\.env cannot be read: .*No such file"):
        load()
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    with pytest.raises(BadSettings, match=r"\.env cannot be read: .*Is a directory"):
        load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("PORT", "-1"),
        ("MAX_EVENT_BYTES", "12"),
        ("MAX_EVENT_BYTES", "1e6"),
        ("HOST", ""),
        ("STALLED_AFTER_MINUTES", "0"),
        ("STALLED_AFTER_MINUTES", "9999999999999"),
        ("SESSION_IDLE_MINUTES", "9999999999999"),
        ("ALLOWED_NETWORKS", "10.0.0.0/33"),
        ("ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("ALLOWED_NETWORKS", "everywhere"),
        ("TRUSTED_PROXIES", "10.0.0.0/8;::1"),
        ("WEBHOOK_SECRETS", "whsec_secret-Zx9"),
        ("WEBHOOK_SECRETS", "portal=secret-Zx9"),
        ("WEBHOOK_SECRETS", "portal=whsec_c2hvcnQtWng5"),
        ("WEBHOOK_SECRETS", f"portal={SECRET},"),
        ("WEBHOOK_SECRETS", f"={SECRET}"),
        ("WEBHOOK_SECRETS", f"{'p' * 65}={SECRET}"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(BadSettings) as refused:
        load_with(monkeypatch, **{name: value})
    message = str(refused.value)
    assert message.startswith(f"OPS_{name}: ")
    assert "\n" not in message
    assert "Zx9" not in message
    assert "whsec_c2hv" not in message
    assert SECRET not in message
