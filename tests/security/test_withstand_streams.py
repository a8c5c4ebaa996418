"""What live streams may cost the service, and each other."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from fastapi import Request
from sqlalchemy import select

from ops_service.audit import log as audit
from ops_service.auth import tokens
from ops_service.auth.guard import is_still
from ops_service.live import routes
from ops_service.principals import SERVER, Principal
from portal_hooks.instants import now_instant
from projections.database.tables import api_tokens
from tests.live_listener import PATH, Listener, wait_until
from tests.running_ops import RunningOps, event, running_ops


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of those whose rights were looked at again."""
    names: list[str] = []
    lock = threading.Lock()

    async def noted(principal: Principal, request: Request) -> bool:
        with lock:
            names.append(principal.name)
        return await is_still(principal, request)

    monkeypatch.setattr(routes, "is_still", noted)
    return names


@pytest.fixture
def listeners(ops: RunningOps, asked: list[str]) -> Iterator[list[Listener]]:
    """Eight of one token, one of another."""
    assert asked == []
    with ExitStack() as opened:
        scopes = [*["read"] * 8, "write"]
        made = [opened.enter_context(closing(Listener(ops.url, ops.tokens[scope]))) for scope in scopes]
        wait_until(lambda: all(each.messages for each in made))
        yield made


def tell_all(ops: RunningOps, listeners: list[Listener]) -> None:
    """Returns when every stream has told of an event, and so of all that was written before."""
    position = ops.send(event("onboarding.started", "s1")).json()["position"]
    wait_until(lambda: all(each.positions[-1:] == [position] for each in listeners))


def test_lines_that_end_no_right_ask_nobody(
    ops: RunningOps, listeners: list[Listener], asked: list[str]
) -> None:
    for action in ("ticket_changed", "note_added", "sign_in_refused", "password_refused"):
        with ops.database.write() as connection:
            audit.record(connection, SERVER, action, now_instant())
        tell_all(ops, listeners)
    assert asked == []


def test_each_listener_is_asked_once_for_all_streams(
    ops: RunningOps, listeners: list[Listener], asked: list[str]
) -> None:
    with ops.database.write() as connection:
        audit.record(connection, SERVER, "role_changed", now_instant(), "user somebody")
    wait_until(lambda: {"test-read", "test-write"} <= set(asked))
    tell_all(ops, listeners)
    assert len(asked) < len(listeners) / 2
    assert all(each.connections == 1 for each in listeners)


def test_all_streams_of_a_revoked_token_end_and_no_others(ops: RunningOps, listeners: list[Listener]) -> None:
    with ops.database.write() as connection:
        query = select(api_tokens.c.id).where(api_tokens.c.name == "test-read")
        tokens.revoke(connection, connection.execute(query).scalar_one(), SERVER, now_instant())
    *revoked, other = listeners
    wait_until(lambda: all(each.refusals[-1:] == [401] for each in revoked))
    tell_all(ops, [other])
    assert (other.connections, other.refusals) == (1, [])


def test_one_principal_has_a_share_of_the_streams(database_url: str) -> None:
    with running_ops(database_url, max_streams_of_one=2) as ops:
        one, two, other = (Listener(ops.url, ops.tokens[scope]) for scope in ("read", "read", "write"))
        with closing(one), closing(other):
            with closing(two):
                wait_until(lambda: bool(one.messages and two.messages and other.messages))
                refused = ops.http.get(PATH, headers=ops.bearer("read"))
                assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
                assert refused.headers["content-type"] == "application/problem+json"
            with closing(Listener(ops.url, ops.tokens["read"])) as again:
                wait_until(lambda: bool(again.messages))
