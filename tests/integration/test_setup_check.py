"""`ops-service check`: what it finds wrong with the settings, the people and the disk."""

import base64
import secrets
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from ops_service.auth import users
from ops_service.commands import check
from ops_service.commands.check import findings
from ops_service.commands.prepared_database import prepare
from ops_service.principals import SERVER
from portal_hooks.instants import now_instant
from projections.database.database import Database
from tests.people import hash_of_password
from tests.running_ops import settings_for

KEY, OTHER = b"a" * 32, b"b" * 32


def invite(url: str, name: str) -> None:
    """An operator who has no password yet."""
    with Database(url) as database, database.write() as connection:
        users.create(connection, name, "admin", SERVER, now_instant())


def choose_password(url: str, name: str) -> None:
    """The operator has opened the link."""
    with Database(url) as database, database.write() as connection:
        user = users.named(connection, name)
        assert user is not None
        users.set_password(connection, user, hash_of_password())


@pytest.fixture
def usable_url(sqlite_url: str) -> str:
    """A database in which somebody can sign in."""
    with Database(sqlite_url) as database:
        prepare(database)
    invite(sqlite_url, "ana")
    choose_password(sqlite_url, "ana")
    return sqlite_url


def test_a_sound_setup_has_no_finding(usable_url: str) -> None:
    settings = settings_for(usable_url, webhook_secrets=(("vm112", KEY), ("vm112", OTHER)))
    assert findings(settings) == []


@pytest.mark.parametrize(
    ("secrets", "told"),
    [
        ([("vm112", KEY), ("vm112", OTHER), ("vm112", KEY)], ["the same secret for vm112 twice"]),
        (
            [("vm112", KEY), ("second", KEY)],
            ["one secret for vm112 and second", "what second sends counts as vm112's"],
        ),
    ],
)
def test_a_secret_that_is_there_twice_is_told_and_not_shown(
    secrets: list[tuple[str, bytes]], told: list[str], usable_url: str
) -> None:
    [found] = findings(settings_for(usable_url, webhook_secrets=tuple(secrets)))
    assert found.startswith("OPS_WEBHOOK_SECRETS has ")
    assert all(text in found for text in told)
    assert base64.b64encode(KEY).decode() not in found
    assert "aaaa" not in found


def test_no_allowed_network_is_told(usable_url: str) -> None:
    [found] = findings(settings_for(usable_url, allowed_networks=()))
    assert found.startswith("OPS_ALLOWED_NETWORKS is empty: every delivery is refused.")


@pytest.mark.parametrize("by", ["environment", ".env"])
def test_a_mistyped_name_is_told(
    usable_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPS_TRUSTED_PROXY", "OPS_WEBHOOK_SECRET"):
        if by == ".env":
            with (tmp_path / ".env").open("a") as file:
                file.write(f"{name}=10.0.0.1\n")
        else:
            monkeypatch.setenv(name, "10.0.0.1")
    # It is the portal's, which may share the file with a service that has its own.
    monkeypatch.setenv("OPS_WEBHOOK_SECRETS", "portal=whsec_x")
    [found] = findings(settings_for(usable_url))
    assert found.startswith("OPS_TRUSTED_PROXY is no setting")
    assert "OPS_TRUSTED_PROXIES" in found


def test_little_space_on_the_disk_of_the_file_is_told(
    usable_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "SPARE_BYTES", 2**62)
    [found] = findings(settings_for(usable_url))
    assert found.startswith(f"The disk of {tmp_path / 'ops.db'} has ")


def test_who_has_not_opened_the_link_is_named(database_url: str) -> None:
    settings = settings_for(database_url)
    with Database(database_url) as database:
        prepare(database)
    assert findings(settings) == [
        "Nobody can sign in: run `ops-service user create NAME --role admin` and open its link."
    ]
    invite(database_url, "ana")
    assert findings(settings) == [
        "Nobody can sign in yet: ana has not opened the link; `ops-service user passwd ana` prints a new one."
    ]
    choose_password(database_url, "ana")
    assert findings(settings) == []


def test_a_role_that_may_not_do_everything_is_told(postgresql_url: str) -> None:
    role = f"ops_reader_{secrets.token_hex(4)}"
    url = make_url(postgresql_url).set(username=role, password="own")
    with Database(postgresql_url) as administered:
        with administered.write() as connection:
            connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'own'"))
            connection.execute(text(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {role}"))
            connection.execute(text(f"ALTER ROLE {role} SET default_transaction_read_only = on"))
        try:
            found = findings(settings_for(url.render_as_string(hide_password=False)))
        finally:
            with administered.write() as connection:
                connection.execute(text(f"DROP OWNED BY {role}"))
                connection.execute(text(f"DROP ROLE {role}"))
    assert any(f"belong to the role postgres: make {role}" in each for each in found)
    assert any("read-only" in each for each in found)
    assert not any(
        "belong to" in each or "read-only" in each for each in findings(settings_for(postgresql_url))
    )
