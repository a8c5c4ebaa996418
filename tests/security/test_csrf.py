"""Another site's page cannot act in an operator's name."""

from collections.abc import Iterator

import httpx
import pytest

from tests.people import PASSWORD, add_user, browser_of
from tests.running_ops import RunningOps

SIGN_OUT = "/api/v1/auth/sign-out"


@pytest.fixture
def signed_in(ops: RunningOps) -> Iterator[httpx.Client]:
    """A browser with a session that says nothing about where a request comes from."""
    with browser_of(ops, add_user(ops, "ana", "admin")) as client:
        del client.headers["Origin"]
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "{url}.evil.example"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site", "Origin": "{url}"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Referer": "{url}/"},
        {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"},
    ],
)
def test_an_unsafe_method_from_elsewhere_is_refused(
    ops: RunningOps, signed_in: httpx.Client, headers: dict[str, str]
) -> None:
    sent = {name: value.format(url=ops.url) for name, value in headers.items()}
    for method, path in (
        ("POST", SIGN_OUT),
        ("DELETE", "/api/v1/users/1/sessions"),
        ("PATCH", "/api/v1/users/1"),
    ):
        assert signed_in.request(method, path, headers=sent).status_code == 403, method
    assert signed_in.get("/api/v1/auth/me", headers=sent).status_code == 200


@pytest.mark.parametrize("headers", [{"Origin": "{url}"}, {"Sec-Fetch-Site": "same-origin"}])
def test_our_own_page_is_served(ops: RunningOps, signed_in: httpx.Client, headers: dict[str, str]) -> None:
    sent = {name: value.format(url=ops.url) for name, value in headers.items()}
    assert signed_in.post(SIGN_OUT, headers=sent).status_code == 204


def test_a_token_may_come_from_anywhere(ops: RunningOps) -> None:
    headers = {"Origin": "https://elsewhere.example"}
    assert ops.http.post("/api/v1/users", json={"name": "rui"}, headers=headers).status_code == 201


def test_a_form_cannot_speak_json(signed_in: httpx.Client, ops: RunningOps) -> None:
    headers = {"Origin": ops.url, "Content-Type": "text/plain"}
    answer = signed_in.post("/api/v1/users", content=b'{"name": "rui"}', headers=headers)
    assert answer.status_code == 422


def test_another_site_cannot_sign_its_visitors_in(ops: RunningOps) -> None:
    add_user(ops, "mallory", "viewer")
    body = {"name": "mallory", "password": PASSWORD}
    elsewhere = ({"Origin": "https://evil.example"}, {"Origin": "http://["}, {"Sec-Fetch-Site": "cross-site"})
    for headers in elsewhere:
        answer = httpx.post(f"{ops.url}/api/v1/auth/sign-in", json=body, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
