"""CSV of each list: the rows the list shows under the same filters, and nothing a spreadsheet would run."""

import csv
import io
from typing import Any

import pytest

from ops_service.export import csv_file
from tests.running_ops import RunningOps, event

FUNNEL = "/api/v1/onboard/funnel"
SESSIONS = "/api/v1/onboard/sessions"
EVENTS = "/api/v1/events"
TICKETS = "/api/v1/desk/tickets"
FORMULA = '=HYPERLINK("http://x","a, b")\n\''


def rows_of(ops: RunningOps, path: str, **params: Any) -> list[dict[str, str]]:
    """The file as a spreadsheet reads it."""
    answer = ops.http.get(f"{path}.csv", params=params, headers=ops.bearer("read"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    name = path.rsplit("/", 1)[1]
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


@pytest.fixture
def filled(ops: RunningOps) -> RunningOps:
    """Three sessions, two of them with a ticket."""
    assert ops.send(event("domain.validated", "s1", domain="acme.pt")).status_code == 201
    assert ops.send(event("account.created", "s2", domain="outra.pt")).status_code == 201
    failure = {"step": "dns", "code": FORMULA, "reason": "não respondeu"}
    assert ops.send(event("onboarding.failed", "s3", data=failure)).status_code == 201
    return ops


def test_the_funnel_s_table(filled: RunningOps) -> None:
    answer = filled.get(FUNNEL, hours=24)
    for row, step in zip(rows_of(filled, FUNNEL, hours=24), answer["steps"], strict=True):
        for name in ("reached", "failed", "active", "stalled"):
            assert row[name] == str(step[name])
        assert row["stage"] == step["stage"]
        assert (row["conversion_from_previous"] == "") == (step["conversion_from_previous"] is None)
        assert row["since"].endswith("Z")
        assert row["as_of"] == ""


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"state": "active"},
        {"q": "ACME"},
        {"order": "asc"},
        {"state": ["failed", "active"], "order": "asc"},
    ],
)
def test_sessions_as_the_list_has_them(filled: RunningOps, params: dict[str, Any]) -> None:
    listed = filled.get(SESSIONS, **params)["sessions"]
    rows = rows_of(filled, SESSIONS, **params)
    assert [row["session_id"] for row in rows] == [each["session_id"] for each in listed] != []
    for row, each in zip(rows, listed, strict=True):
        assert row["last_event_at"] == each["last_event_at"]
        assert row["stalled"] == "false"
        assert row["reached_domain_validated"] == (each["reached"]["domain_validated"] or "")
        assert row["ticket_id"] == str(each["ticket_id"] or "")


def test_past_sessions_in_a_file(filled: RunningOps) -> None:
    seen = filled.get(FUNNEL)
    assert filled.send(event("onboarding.started", "later")).status_code == 201
    asked = {"as_of": seen["generated_at"], "since": seen["window"]["since"]}
    assert {row["session_id"] for row in rows_of(filled, SESSIONS, **asked)} == {"s1", "s2", "s3"}
    assert rows_of(filled, FUNNEL, as_of=seen["generated_at"])[0]["reached"] == "3"
    assert rows_of(filled, FUNNEL)[0]["reached"] == "4"


@pytest.mark.parametrize(
    "params", [{}, {"order": "desc"}, {"session_id": "s2"}, {"event_type": "onboarding.failed"}]
)
def test_events_as_the_list_has_them(filled: RunningOps, params: dict[str, Any]) -> None:
    listed = filled.get(EVENTS, **params)["events"]
    rows = rows_of(filled, EVENTS, **params)
    assert [row["position"] for row in rows] == [str(each["position"]) for each in listed] != []
    assert [row["occurred_at"] for row in rows] == [each["occurred_at"] for each in listed]


@pytest.mark.parametrize("params", [{}, {"stage": "failed"}, {"tag": "vip"}, {"assignee": ""}])
def test_tickets_as_the_list_has_them(filled: RunningOps, params: dict[str, Any]) -> None:
    changes = {"tags": ["vip", "dns"], "assignee": "-Ana"}
    changed = filled.http.patch(f"{TICKETS}/1", json=changes, headers={"if-match": "*"})
    assert changed.status_code == 200
    listed = filled.get(TICKETS, **params)["tickets"]
    rows = rows_of(filled, TICKETS, **params)
    assert [row["id"] for row in rows] == [str(each["id"]) for each in listed] != []
    assert [row["tags"] for row in rows] == [" ".join(each["tags"]) for each in listed]
    assert {row["assignee"] for row in rows} <= {"", "'-Ana"}


def test_what_would_be_a_formula_is_text(filled: RunningOps) -> None:
    [row] = rows_of(filled, SESSIONS, state="failed")
    assert row["failure_code"] == f"'{FORMULA}"
    assert row["failure_reason"] == "não respondeu"


@pytest.mark.parametrize("start", [*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_each_beginning_of_a_formula_is_defused(start: str) -> None:
    with csv_file.write(["a", "b"], [[f"{start}1", 1], ["1=1", -1]]) as file:
        read = list(csv.reader(io.StringIO(file.read().decode("utf-8-sig"), newline="")))
    assert read == [["a", "b"], [f"'{start}1", "1"], ["1=1", "-1"]]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("ok\n=2+2;3", "ok\n'=2+2;3"),
        ("ok;=2+2", "ok;'=2+2"),
        ("ok\r\n@SUM(A1)", "ok\r\n'@SUM(A1)"),
        ("2026-12-01 10:00; a=b", "2026-12-01 10:00; a=b"),
    ],
)
def test_a_cell_that_another_separator_would_end_is_defused_too(value: str, told: str) -> None:
    with csv_file.write(["a"], [[value]]) as file:
        read = list(csv.reader(io.StringIO(file.read().decode("utf-8-sig"), newline="")))
    assert read == [["a"], [told]]


def test_a_file_comes_in_chunks_without_gap_or_repeat(
    ops: RunningOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_file, "CHUNK", 2)
    batch = [event("onboarding.failed", f"s{number}") for number in range(5)]
    assert ops.send_batch(batch).status_code == 200
    for path, name in ((SESSIONS, "session_id"), (EVENTS, "session_id"), (TICKETS, "session_id")):
        assert sorted(row[name] for row in rows_of(ops, path)) == [f"s{number}" for number in range(5)]


def test_a_file_that_would_be_cut_is_refused(filled: RunningOps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "MAX_ROWS", 2)
    answer = filled.http.get(f"{SESSIONS}.csv")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert "narrow the filters" in answer.json()["detail"]
    assert len(rows_of(filled, SESSIONS, state="active")) == 2
    with monkeypatch.context() as counted_only:
        counted_only.setattr(csv_file, "MAX_ROWS", 0)
        counted_only.setattr(csv_file, "write", pytest.fail)
        for path in (SESSIONS, EVENTS, TICKETS):
            assert filled.http.get(f"{path}.csv").status_code == 422, "it is known before a row is written"
