"""What the API refuses: without a right, without a resource, without sense. Always a problem, never a 500."""

import base64
import json
from typing import Any

import httpx
import pytest

from tests.running_ops import PLAIN_HTTP, RunningOps, event

FUNNEL = "/api/v1/onboard/funnel"
SESSIONS = "/api/v1/onboard/sessions"
EVENTS = "/api/v1/events"
TICKETS = "/api/v1/desk/tickets"
REJECTED = "/api/v1/rejected-deliveries"
FILES = [f"{path}.csv" for path in (FUNNEL, SESSIONS, EVENTS, TICKETS)]

READS = [
    FUNNEL,
    SESSIONS,
    f"{SESSIONS}/s1",
    f"{SESSIONS}/s1/timeline",
    f"{SESSIONS}/s1/explain",
    EVENTS,
    f"{EVENTS}/1",
    TICKETS,
    f"{TICKETS}/1",
    REJECTED,
    *FILES,
]
WRITES = [("PATCH", f"{TICKETS}/1"), ("POST", f"{TICKETS}/1/notes")]


def assert_problem(answer: httpx.Response, *statuses: int) -> None:
    assert answer.status_code in statuses, f"{answer.request.method} {answer.request.url}: {answer.text}"
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert {"type", "title", "detail"} <= body.keys()


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ops_x", "Basic eDp4", "Bearer é"])
def test_without_a_token_nothing_is_shown(ops: RunningOps, authorization: str | None) -> None:
    given = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    with httpx.Client(base_url=ops.url, timeout=30, verify=PLAIN_HTTP) as client:
        for method, path in [*(("GET", path) for path in READS), *WRITES]:
            answer = client.request(method, path, headers=given)
            assert_problem(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_that_may_read_may_not_write(ops: RunningOps) -> None:
    for method, path in WRITES:
        assert_problem(ops.http.request(method, path, json={}, headers=ops.bearer("read")), 403)


@pytest.mark.parametrize("scope", ["read", "write", "admin"])
def test_every_scope_may_read(ops: RunningOps, scope: str) -> None:
    assert ops.send(event("onboarding.failed", "s1")).status_code == 201
    for path in READS:
        assert ops.http.get(path, headers=ops.bearer(scope)).status_code == 200, path


@pytest.mark.parametrize("scope", ["write", "admin"])
def test_writing_needs_write_or_more(ops: RunningOps, scope: str) -> None:
    assert ops.send(event("onboarding.failed", "s1")).status_code == 201
    answer = ops.http.post(f"{TICKETS}/1/notes", json={"body": "hello"}, headers=ops.bearer(scope))
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "path",
    [
        f"{SESSIONS}/unknown",
        f"{SESSIONS}/unknown/timeline",
        f"{SESSIONS}/unknown/explain",
        f"{EVENTS}/0",
        f"{EVENTS}/{2**63 - 1}",
        f"{TICKETS}/1",
        "/nothing/here",
        "/static/nothing.js",
        "/static/app.js/",
        "/static//app.js",
        "/static/lib/%2e%2e/app.js",
        "/static/../pyproject.toml",
        "/static/%2e%2e/pyproject.toml",
    ],
)
def test_what_is_not_there(ops: RunningOps, path: str) -> None:
    assert_problem(ops.http.get(path), 404)


def test_tickets_that_are_not_there_cannot_be_changed(ops: RunningOps) -> None:
    assert_problem(
        ops.http.patch(f"{TICKETS}/1", json={"status": "closed"}, headers={"if-match": '"1"'}), 404
    )
    assert_problem(ops.http.post(f"{TICKETS}/1/notes", json={"body": "hello"}), 404)


@pytest.mark.parametrize("method", ["DELETE", "PUT", "TRACE", "PROPFIND"])
def test_other_methods(ops: RunningOps, method: str) -> None:
    for path in READS:
        assert_problem(ops.http.request(method, path), 405)


BAD_PARAMETERS: dict[str, list[dict[str, str]]] = {
    FUNNEL: [
        *({"hours": text} for text in ("0", "-1", "x", "nan", "inf", "1e308", "1e999", "9" * 5000)),
        {"hours": "48", "since": "2026-06-08T12:00:00Z"},
        {"since": "2026-06-08T12:00:00Z", "until": "2026-06-08T12:00:00Z"},
        *({"since": text} for text in ("x", "2026-06-08T12:00:00", "2026-06-31T00:00:00Z", "1780920000", "")),
        {"as_of": "tomorrow"},
        {"since": "2100-01-01T00:00:00Z"},
        {"since": "2026-06-08T12:00:00Z", "as_of": "2026-06-07T12:00:00Z"},
    ],
    SESSIONS: [
        {"stage": "lost"},
        {"state": "lost"},
        {"furthest": "failed"},
        {"reached": "failed"},
        {"domain": "x" * 254},
        {"q": "a\0b"},
        {"order": "sideways"},
        {"began_since": "x"},
        {"since": "2026-06-08T12:00:00Z", "until": "2026-06-08T11:00:00Z"},
        *({"limit": text} for text in ("0", "501", "-1", "x", "9" * 5000, "1.5")),
    ],
    EVENTS: [
        *({name: "a\0b"} for name in ("session_id", "event_type", "source")),
        *({"after": text} for text in ("-1", "x", str(2**63), "9" * 5000)),
        {"order": "sideways"},
        {"limit": "1001"},
    ],
    TICKETS: [
        {"status": "lost"},
        {"stage": "lost"},
        {"state": "lost"},
        *({name: "a\0b"} for name in ("tag", "assignee", "q")),
        {"limit": "501"},
    ],
}


@pytest.mark.parametrize("path", BAD_PARAMETERS)
def test_bad_parameters_are_named(ops: RunningOps, path: str) -> None:
    for params in BAD_PARAMETERS[path]:
        answer = ops.http.get(path, params=params)
        assert_problem(answer, 422)
        errors = answer.json()["errors"]
        assert not any("error" in error["detail"] for error in errors), errors  # pydantic's "Value error, …"
        pointers = [error["pointer"] for error in errors]
        assert pointers, params
        assert all(pointer.removeprefix("/query/").split("/")[0] in params for pointer in pointers), pointers


@pytest.mark.parametrize("name", ["bad id", "é", "a%00b", "a" * 129, "a.b", "%ED%A0%80", "%FF"])
def test_session_ids_that_cannot_be(ops: RunningOps, name: str) -> None:
    for rest in ("", "/timeline", "/explain"):
        assert_problem(ops.http.get(f"{SESSIONS}/{name}{rest}"), 422)


@pytest.mark.parametrize("name", ["0", "-1", "x", str(2**63), "1.5", "%00", "9" * 5000])
def test_ticket_ids_that_cannot_be(ops: RunningOps, name: str) -> None:
    assert_problem(ops.http.get(f"{TICKETS}/{name}"), 422)


HOSTILE = [
    "%00",
    "%ED%A0%80",
    "%FF%FE",
    "%F0%9F%98%80",
    "'%20OR%201=1--",
    "%25",
    "_",
    "%5C",
    "a" * 200,
    "9" * 400,
    "-9223372036854775809",
    "1e400",
    "NaN",
    "true",
    "null",
    "[]",
    "{}",
    "",
    "%0D%0A",
    "0001-01-01T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
]
PARAMETERS = {
    FUNNEL: ["hours", "since", "until", "as_of"],
    SESSIONS: [
        *("stage", "state", "furthest", "reached", "failure_code", "domain", "q", "since", "until"),
        *("began_since", "began_until", "as_of", "order", "limit", "cursor"),
    ],
    f"{SESSIONS}/s1/timeline": ["limit", "cursor"],
    EVENTS: ["session_id", "event_type", "source", "since", "until", "after", "order", "limit"],
    TICKETS: ["status", "stage", "state", "tag", "assignee", "q", "limit", "cursor"],
    REJECTED: ["source", "limit", "cursor"],
}
PARAMETERS |= {
    f"{path}.csv": [name for name in PARAMETERS[path] if name not in ("limit", "cursor", "after")]
    for path in (FUNNEL, SESSIONS, EVENTS, TICKETS)
}


@pytest.mark.parametrize("path", [*PARAMETERS, f"{EVENTS}/1", f"{SESSIONS}/s1/explain"])
def test_a_parameter_that_is_none_is_refused(ops: RunningOps, path: str) -> None:
    answer = ops.http.get(f"{path}?stauts=open")
    assert_problem(answer, 422)
    [error] = answer.json()["errors"]
    named = error["detail"].removeprefix("the parameters here are: ").split(", ")
    assert (error["pointer"], set(PARAMETERS.get(path, named))) == ("/query", set(named))
    assert "stauts" not in answer.text


def test_no_cache_keeps_what_only_the_signed_in_may_see(ops: RunningOps) -> None:
    assert ops.send(event("onboarding.failed", "s1")).status_code == 201
    for path in (*READS, "/api/v1/users", "/api/v1/auth/me"):
        headers = ops.http.get(path).headers
        assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff"), path


def test_a_body_is_taken_by_its_types(ops: RunningOps) -> None:
    for value in ("yes", 1, "false"):
        assert_problem(ops.http.patch("/api/v1/users/1", json={"disabled": value}), 422)


def test_head_is_answered_as_get_without_its_body(ops: RunningOps) -> None:
    assert ops.send(event("onboarding.failed", "s1")).status_code == 201
    for path in (*READS, "/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/static/app.js", "/none"):
        head, got = ops.http.head(path), ops.http.get(path)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (f"{TICKETS}/1", "GET, HEAD, PATCH"),
        ("/api/v1/users", "GET, HEAD, POST"),
        ("/api/v1/webhooks/onboard", "OPTIONS, POST"),
        ("/healthz", "GET, HEAD"),
    ],
)
def test_another_method_is_told_which_there_are(ops: RunningOps, path: str, allowed: str) -> None:
    answer = ops.http.put(path)
    assert_problem(answer, 405)
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("body", "status", "pointers"),
    [(b"{bad", 400, None), (b"null", 422, [""]), (b"", 422, [""]), (b'{"body":""}', 422, ["/body"])],
)
def test_a_wrong_body_is_told_by_json_pointers(
    ops: RunningOps, body: bytes, status: int, pointers: list[str] | None
) -> None:
    headers = {"content-type": "application/json"}
    answer = ops.http.post(f"{TICKETS}/1/notes", content=body, headers=headers)
    assert_problem(answer, status)
    assert [error["pointer"] for error in answer.json().get("errors", [])] == (pointers or [])


@pytest.mark.parametrize("path", PARAMETERS)
def test_hostile_parameters_are_answered_or_refused(ops: RunningOps, path: str) -> None:
    assert ops.send(event("onboarding.failed", "s1", domain="acme.pt")).status_code == 201
    for name in PARAMETERS[path]:
        for value in HOSTILE:
            answer = ops.http.get(f"{path}?{name}={value}")
            if answer.status_code != 200:
                assert_problem(answer, 422)


def forged(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


CURSORS: list[Any] = [
    [],
    {},
    None,
    [1],
    ["s1"],
    [1, 2],
    [1.5, "s1"],
    [True, "s1"],
    [None, None],
    [2**63, "s1"],
    [-(2**64), "s1"],
    [10**400, "s1"],
    [1, "a\0b"],
    [1, "\ud800"],
    [2**63],
    [1, 1, "a\0b", "\ud800"],
    [[[[[]]]]],
]


@pytest.mark.parametrize("path", [path for path, names in PARAMETERS.items() if "cursor" in names])
def test_forged_cursors_are_answered_or_refused(ops: RunningOps, path: str) -> None:
    assert ops.send(event("onboarding.failed", "s1")).status_code == 201
    nested = base64.urlsafe_b64encode(b"[" * 30_000).decode()
    for cursor in [*map(forged, CURSORS), nested, "a", "====", "_-_-", "%00", "é"]:
        answer = ops.http.get(path, params={"cursor": cursor})
        if answer.status_code != 200:
            assert_problem(answer, 400, 413, 414, 422, 431)


@pytest.mark.parametrize(
    "params",
    [
        {"until": "0001-01-01T00:00:00Z"},
        {"until": "0001-01-01T00:00:00Z", "hours": "1"},
        {"as_of": "0001-01-01T00:00:00Z"},
        {"as_of": "0005-01-01T00:00:00Z", "hours": "87840"},
        {"as_of": "9999-12-31T23:59:59.999999Z"},
        {"since": "0001-01-01T00:00:00Z"},
    ],
)
def test_windows_at_the_ends_of_time(ops: RunningOps, params: dict[str, str]) -> None:
    answer = ops.http.get(FUNNEL, params=params)
    if answer.status_code != 200:
        assert_problem(answer, 422)


BAD_BODIES = [
    b"",
    b"{",
    b"\xff",
    b"[]",
    b"null",
    b"NaN",
    b"[" * 100_000,
    b'{"\\ud800": 1}',
    b'{"body": "\\ud800"}',
    b'{"body": "a\\u0000b"}',
    b'{"assignee": "\\udfff", "body": 1}',
    b'{"tags": ["\\ud800"]}',
    b'{"tags": "x"}',
    b'{"status": {}, "body": {}}',
    b'{"body": ""}',
    b'{"body": "   "}',
    b'{"status": null}',
    b'{"tags": null}',
    b'{"assignee": ""}',
    b'{"unknown": 1}',
    b'{"tags": ["A B"]}',
    b'{"tags": [' + b'"x",' * 20 + b'"x"]}',
    b'{"body": ' + b"9" * 10_000 + b"}",
]


@pytest.mark.parametrize(
    "media_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"]
)
@pytest.mark.parametrize(("method", "path"), WRITES)
def test_bad_bodies_change_nothing(ops: RunningOps, method: str, path: str, media_type: str) -> None:
    assert ops.send(event("onboarding.failed", "s1")).status_code == 201
    headers = {"content-type": media_type, "if-match": '"1"'}
    for body in BAD_BODIES:
        answer = ops.http.request(method, path, content=body, headers=headers)
        assert_problem(answer, 400, 413, 415, 422)
    ticket = ops.get(f"{TICKETS}/1")
    assert (ticket["version"], ticket["notes"]) == (1, [])


@pytest.mark.parametrize("path", ["/static/%00", "/static/" + "a" * 5000, "/%00", "/static/", "/static"])
def test_strange_paths(ops: RunningOps, path: str) -> None:
    assert_problem(ops.http.get(path, follow_redirects=True), 404, 414)
