"""The audit log tells who did what, from where; neither it nor the service's log tells a secret."""

import logging
from typing import Any

import pytest
from sqlalchemy import update

from ops_service.audit import log
from ops_service.auth.cookies import NAME
from portal_hooks.instants import DAY, format_instant
from projections.database.tables import audit_log
from tests.people import PASSWORD, add_user, browser, browser_of, sign_in
from tests.running_ops import RunningOps, event, running_ops
from tests.security.conftest import Clock

AUDIT = "/api/v1/audit"


def lines(ops: RunningOps) -> list[dict[str, Any]]:
    """Oldest first, without what setting up the test wrote."""
    found = ops.get(AUDIT, limit=500)["lines"][::-1]
    return [line for line in found if line["actor_kind"] != "server"]


def told(ops: RunningOps) -> list[tuple[Any, ...]]:
    return [(line["actor"], line["action"], line["subject"], line["detail"]) for line in lines(ops)]


def test_sign_ins_are_told(ops: RunningOps) -> None:
    add_user(ops, "ana", "viewer")
    with browser(ops) as client:
        sign_in(client, "ana", "wrong")
        sign_in(client, "my password by mistake", "x")
        sign_in(client, "ana")
        client.post("/api/v1/auth/sign-out")
    assert told(ops) == [
        (None, "sign_in_refused", "user ana", None),
        (None, "sign_in_refused", "nobody", None),
        ("ana", "signed_in", None, None),
        ("ana", "signed_out", None, None),
    ]
    assert {line["address"] for line in lines(ops)} == {"127.0.0.1"}
    assert [line["actor_kind"] for line in lines(ops)] == ["nobody", "nobody", "user", "user"]


def test_changes_of_people_and_tokens_are_told(ops: RunningOps) -> None:
    admin = add_user(ops, "ana", "admin")
    with browser_of(ops, admin) as client:
        rui = client.post("/api/v1/users", json={"name": "rui"}).json()["user_id"]
        client.patch(f"/api/v1/users/{rui}", json={"role": "agent"})
        client.patch(f"/api/v1/users/{rui}", json={"role": "agent"})
        client.patch(f"/api/v1/users/{rui}", json={"disabled": True})
        client.post("/api/v1/tokens", json={"name": "wall", "scope": "read"})
        token_id = next(row["id"] for row in ops.get("/api/v1/tokens")["tokens"] if row["name"] == "wall")
        client.delete(f"/api/v1/tokens/{token_id}")
        client.delete(f"/api/v1/users/{rui}/sessions")
        client.post("/api/v1/auth/password", json={"current": "wrong", "new": "x" * 12})
    assert told(ops) == [
        ("ana", "user_created", "user rui", "role viewer"),
        ("ana", "link_created", "user rui", None),
        ("ana", "role_changed", "user rui", "viewer → agent"),
        ("ana", "user_disabled", "user rui", None),
        ("ana", "token_created", "token wall", "scope read"),
        ("ana", "token_revoked", "token wall", None),
        ("ana", "sessions_ended", "user rui", "0"),
        ("ana", "password_refused", "user ana", None),
    ]


def test_changes_of_tickets_and_retries_are_told(ops: RunningOps) -> None:
    ops.send(event("onboarding.failed", "s1"))
    change = {"status": "in_progress", "assignee": "ana"}
    ops.http.patch("/api/v1/desk/tickets/1", json=change, headers={"If-Match": "*"})
    ops.http.patch("/api/v1/desk/tickets/1", json=change, headers={"If-Match": "*"})
    ops.http.post("/api/v1/desk/tickets/1/notes", json={"body": "called"})
    ops.http.post("/api/v1/quarantine/retry")
    assert told(ops) == [
        ("test-admin", "ticket_changed", "ticket 1", "status: in_progress; assignee: ana"),
        ("test-admin", "note_added", "ticket 1", None),
        ("test-admin", "quarantine_retried", None, "0 sessions folded, 0 still quarantined"),
    ]


def test_what_was_refused_is_not_told_as_done(ops: RunningOps) -> None:
    admin = add_user(ops, "ana", "admin")
    assert ops.http.patch(f"/api/v1/users/{admin}", json={"role": "viewer"}).status_code == 409
    assert ops.http.post("/api/v1/users", json={"name": "ana"}).status_code == 409
    assert ops.http.post("/api/v1/tokens", json={"name": "test-read"}).status_code == 409
    assert told(ops) == []


def test_the_log_is_paged(ops: RunningOps) -> None:
    for number in range(5):
        ops.http.post("/api/v1/tokens", json={"name": f"t{number}"})
    first = ops.get(AUDIT, limit=2)
    second = ops.get(AUDIT, limit=2, cursor=first["next_cursor"])
    shown = [line["subject"] for line in first["lines"] + second["lines"]]
    assert shown == ["token t4", "token t3", "token t2", "token t1"]
    assert first["total"] == 8
    assert ops.get(AUDIT, limit=8)["next_cursor"] is None


def test_no_secret_reaches_a_log(
    ops: RunningOps, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    add_user(ops, "ana", "admin")
    with browser(ops) as client:
        sign_in(client, "ana", "mistyped secret")
        sign_in(client, "ana")
        path = client.post("/api/v1/users", json={"name": "rui"}).json()["path"]
        token = client.post("/api/v1/tokens", json={"name": "t"}).json()["token"]
        link = path.rpartition("/")[2]
        client.post("/api/v1/auth/link", json={"link": link})
        client.post("/api/v1/auth/password", json={"current": PASSWORD, "new": "the next secret"})
        secrets = [PASSWORD, "mistyped secret", "the next secret", link, token, client.cookies[NAME]]
    written = capfd.readouterr()
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpcore")]
    everything = "\n".join([*ours, written.out, written.err, repr(ops.get(AUDIT, limit=500))])
    assert [secret for secret in secrets if secret in everything] == []


def test_lines_that_have_had_their_time_go_with_the_next_sign_in(database_url: str) -> None:
    with running_ops(database_url, audit_days=30) as ops:
        add_user(ops, "ana", "viewer")
        with browser(ops) as client:
            sign_in(client, "ana")
            age(ops, 31 * DAY)
            sign_in(client, "ana", "wrong")
            age(ops, 29 * DAY)  # the first sign-in is 60 days old now, the refusal 29
            assert [line["action"] for line in lines(ops)] == ["signed_in", "sign_in_refused"]
            sign_in(client, "ana")
            assert [line["action"] for line in lines(ops)] == ["sign_in_refused", "signed_in"]


def test_the_lines_are_of_the_clock_that_prunes_them(ops: RunningOps, clock: Clock) -> None:
    add_user(ops, "ana", "admin")
    clock.now += 400 * DAY
    with browser(ops) as client:
        sign_in(client, "ana")
        token = client.post("/api/v1/tokens", json={"name": "wall"})
        assert token.status_code == 201
    assert [(line["action"], line["at"]) for line in lines(ops)] == [
        ("signed_in", format_instant(clock.now)),
        ("token_created", format_instant(clock.now)),
    ]
    made = {row["name"]: row["created_at"] for row in ops.get("/api/v1/tokens")["tokens"]}
    assert made["wall"] == format_instant(clock.now)


def test_the_log_is_pruned_bit_by_bit(ops: RunningOps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "PRUNED_AT_ONCE", 2)
    add_user(ops, "ana", "viewer")
    with browser(ops) as client:
        for _ in range(4):
            sign_in(client, "ana", "wrong")
        age(ops, 366 * DAY)
        before = ops.get(AUDIT)["total"]
        sign_in(client, "ana")
        assert ops.get(AUDIT)["total"] == before - 2 + 1


def test_a_log_may_be_kept_for_ever(database_url: str) -> None:
    with running_ops(database_url, audit_days=0) as ops:
        add_user(ops, "ana", "viewer")
        with browser(ops) as client:
            sign_in(client, "ana")
            age(ops, 3_000 * DAY)
            sign_in(client, "ana")
            assert [line["action"] for line in lines(ops)] == ["signed_in", "signed_in"]


def age(ops: RunningOps, by: int) -> None:
    """Make all lines so much older."""
    with ops.database.write() as connection:
        connection.execute(update(audit_log).values(at=audit_log.c.at - by))
