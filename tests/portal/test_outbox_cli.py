"""`ops-portal-outbox` on real spool folders: what it shows, and what it does about it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from portal_hooks import OnboardHooks
from portal_hooks.delivery.breaker import Pace
from portal_hooks.outbox_cli import main
from portal_hooks.settings import HookSettings
from portal_hooks.signing import parse_secret
from portal_hooks.spool.backlog import Backlog
from portal_hooks.spool.writer import Spool
from tests.servers.process import free_port
from tests.servers.webhook_receiver import SECRET, Answer, Receiver


@pytest.fixture(autouse=True)
def _settings(receiver: Receiver, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_WEBHOOK_URL", receiver.url)
    monkeypatch.setenv("OPS_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("OPS_SPOOL_DIR", str(spool))


def _portal(spool: Path, url: str, pace: Pace | None = None) -> OnboardHooks:
    return OnboardHooks(HookSettings(url, parse_secret(SECRET), spool), pace=pace or Pace())


def _leave_behind(spool: Path, count: int) -> list[str | None]:
    """A portal that emitted while Ops was down, and ended."""
    hooks = _portal(spool, f"http://127.0.0.1:{free_port()}/hook")
    ids = [hooks.emit("a.b", f"s{number % 2}") for number in range(count)]
    hooks.close()
    return ids


def _status(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["status", "--json"]) == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    return facts


def _bury(spool: Path, receiver: Receiver) -> list[str | None]:
    receiver.refuse = lambda event: "conflict" if event["event_type"] == "bad.one" else None
    hooks = _portal(spool, receiver.url)
    ids = [hooks.emit(kind, "s1", data={"é": 1}) for kind in ("bad.one", "good.one", "bad.one")]
    assert hooks.flush()
    hooks.close()
    receiver.refuse = lambda _: None
    return [ids[0], ids[2]]


def test_status_of_an_empty_spool(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert lines == [["pending", "0"], ["parked", "0"], ["dead", "0"], ["Ops", "ok"]]


def test_a_list_without_dead_letters_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dead-letter", "list"]) == 0
    assert capsys.readouterr().out == "No event is dead.\n"


def test_status_tells_what_waits_and_why(spool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _leave_behind(spool, 7)
    facts = _status(capsys)
    assert (facts["pending"], facts["dead"], facts["parked"]) == (7, 0, 0)
    assert facts["oldest_emitted_at"].endswith("Z")
    assert facts["endpoint"]["condition"] in ("backing off", "breaker open")
    assert main(["status"]) == 0
    text = capsys.readouterr().out
    assert "Connection refused" in text
    assert "next attempt in" in text


def test_status_of_a_stopped_endpoint_says_what_to_do(
    spool: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    _leave_behind(spool, 1)
    receiver.answers.append(Answer(410))
    assert main(["flush", "--timeout", "0.3"]) == 1
    assert capsys.readouterr().out == (
        'Events waiting: 1, dead: 0; Ops: stopped (HTTP 410: {"title": "as told"})\n'
    )
    assert main(["status"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith(
        "Ops       stopped (1 failure, nothing is sent until you run 'ops-portal-outbox flush'"
    )
    assert line.endswith('HTTP 410: {"title": "as told"}')
    assert "next attempt" not in line
    assert main(["flush"]) == 0


def test_flush_delivers_itself_when_no_portal_runs(
    spool: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = _leave_behind(spool, 7)
    assert main(["flush"]) == 0
    assert [event["event_id"] for event in receiver.accepted] == ids
    assert _status(capsys)["pending"] == 0


def test_flush_says_when_something_is_left(
    spool: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    _leave_behind(spool, 2)
    receiver.judge = lambda _: Answer(503)
    assert main(["flush", "--timeout", "0.3"]) == 1
    assert "Events waiting: 2, dead: 0; Ops: " in capsys.readouterr().out


@pytest.mark.parametrize("status", [401, 410])
def test_flush_does_not_wait_for_what_will_not_be_tried(spool: Path, receiver: Receiver, status: int) -> None:
    _leave_behind(spool, 1)
    receiver.answers.append(Answer(status))
    assert main(["flush", "--timeout", "290"]) == 1  # longer than a test may take


def test_flush_sends_what_comes_while_it_sends(spool: Path, receiver: Receiver) -> None:
    """Though the session that is parked cannot be tried again in time."""

    def emit(session_id: str) -> None:
        with closing(Spool(spool)) as emitting:
            event = {"event_id": f"of-{session_id}", "session_id": session_id}
            emitting.append(event["event_id"], session_id, json.dumps(event).encode(), durable=True)

    def judge(events: list[dict[str, Any]]) -> None:
        if events[0]["session_id"] == "first":
            emit("second")

    emit("bad")
    with closing(Backlog(spool, 3600)) as backlog:
        batch = backlog.next_batch(time.time(), 1)
        assert batch is not None
        backlog.park(batch, time.time(), 60)
    emit("first")
    receiver.judge = judge
    assert main(["flush", "--timeout", "30"]) == 1
    assert [event["session_id"] for event in receiver.accepted] == ["first", "second"]


def test_flush_hurries_a_portal_that_runs(spool: Path, receiver: Receiver) -> None:
    receiver.answers.append(Answer(410))
    hooks = _portal(spool, receiver.url)
    hooks.emit("a.b", "s1")
    while hooks.stats().endpoint != "stopped":
        assert not hooks.flush(0.01)
    assert main(["flush", "--timeout", "10"]) == 0
    assert len(receiver.accepted) == 1
    assert hooks.stats().endpoint == "ok"
    hooks.close()


def test_parked_sessions_are_counted(
    spool: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.judge = lambda events: Answer(500) if events[0]["session_id"] == "bad" else None
    hooks = _portal(spool, receiver.url, Pace(first=0.01, open_interval=0.02))
    hooks.emit("a.b", "bad")
    hooks.emit("a.b", "good")
    assert len(receiver.wait_for("good", 1)) == 1
    assert not hooks.flush(0.3)
    facts = _status(capsys)
    assert (facts["pending"], facts["parked"], facts["parked_sessions"]) == (1, 1, 1)
    assert hooks.stats().pending == 1
    assert main(["status"]) == 0
    assert "parked    1 of them, in 1 session Ops stumbles over\n" in capsys.readouterr().out
    hooks.close()


def test_dead_letters_are_listed_and_shown(
    spool: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = _bury(spool, receiver)
    assert main(["dead-letter", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1:4] for line in lines] == [[first, "bad.one", "s1"], [second, "bad.one", "s1"]]
    assert main(["dead-letter", "show", str(first)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["event"]["data"], shown["reason"]) == ({"é": 1}, "conflict: as told")


def test_a_dead_letter_is_sent_again_with_the_same_id(
    spool: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = _bury(spool, receiver)
    capsys.readouterr()
    assert main(["dead-letter", "retry", str(second)]) == 0
    assert capsys.readouterr().out == "Events that are sent again: 1.\n"
    assert main(["flush"]) == 0
    assert [event["event_id"] for event in receiver.accepted][1:] == [second]
    assert main(["dead-letter", "retry", "--all"]) == 0
    assert main(["flush"]) == 0
    assert [event["event_id"] for event in receiver.accepted][1:] == [second, first]


def test_a_dead_letter_is_dropped_only_when_named(
    spool: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _ = _bury(spool, receiver)
    assert main(["dead-letter", "drop"]) == 2
    assert main(["dead-letter", "drop", "--all", "unknown"]) == 2
    assert main(["dead-letter", "drop", str(first), "unknown"]) == 1
    told = capsys.readouterr()
    assert "no dead event has the id unknown" in told.err
    assert told.out == "Events dropped: 1.\n"
    assert _status(capsys)["dead"] == 1


@pytest.mark.parametrize("content", ["garbage", "[]", "{}"])
def test_what_is_no_dead_letter_is_told(
    spool: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    _bury(spool, receiver)
    stray = spool / "dead" / "stray.json"
    stray.write_text(content)
    assert main(["dead-letter", "drop", "--all"]) == 2
    assert capsys.readouterr().err == (
        f"ops-portal-outbox: {stray} is no dead letter; look at it, and move it elsewhere\n"
    )
    stray.unlink()
    assert main(["dead-letter", "drop", "--all"]) == 0


def test_a_retry_keeps_to_the_portals_limit(
    spool: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _bury(spool, receiver)
    lane = spool / "lanes" / "of-a-busy-portal"
    lane.mkdir()
    with (lane / "0000000001.seg").open("wb") as segment:
        segment.truncate(300 * 1024 * 1024)  # a hole: it takes no room
    assert main(["dead-letter", "retry", "--all"]) == 2
    assert "the spool holds its limit of 268435456 bytes" in capsys.readouterr().err
    monkeypatch.setenv("OPS_SPOOL_LIMIT_MB", "1024")
    assert main(["dead-letter", "retry", "--all"]) == 0
    assert capsys.readouterr().out == "Events that are sent again: 2.\n"


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        (["status"], {"OPS_SPOOL_DIR": ""}, "OPS_SPOOL_DIR is not set"),
        (["status"], {"OPS_SPOOL_DIR": " "}, "OPS_SPOOL_DIR is not set"),
        (["--spool", "", "status"], {}, "--spool is not set"),
        (["status"], {"OPS_SPOOL_DIR": "/nowhere/at/all"}, "there is no spool folder"),
        (["flush"], {"OPS_WEBHOOK_SECRET": ""}, "OPS_WEBHOOK_SECRET is not set"),
        (["dead-letter", "retry", "e1"], {"OPS_SPOOL_LIMIT_MB": "1 GB"}, "OPS_SPOOL_LIMIT_MB is not a whole"),
    ],
)
def test_a_wrong_set_up_is_one_clear_line(
    arguments: list[str],
    environment: dict[str, str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_it_runs_as_a_program() -> None:
    program = [sys.executable, "-m", "portal_hooks.outbox_cli"]
    helped = subprocess.run([*program, "--help"], capture_output=True, text=True, check=True)
    assert "dead-letter" in helped.stdout
    wrong = subprocess.run([*program, "explode"], capture_output=True, check=False, env=os.environ)
    assert wrong.returncode == 2


def test_ctrl_c_ends_a_flush_in_one_line(spool: Path, receiver: Receiver) -> None:
    receiver.judge = lambda _: Answer(503)
    _leave_behind(spool, 1)
    command = [sys.executable, "-m", "portal_hooks.outbox_cli", "flush", "--timeout", "60"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert "does not take events" in process.stderr.readline()
        # Python loses an interruption that falls into a finaliser: one presses again.
        presses = 0
        while process.poll() is None:
            presses += 1
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
        rest = process.stderr.read()
    assert process.returncode == 130
    line = "ops-portal-outbox: interrupted; what waits stays on disk\n"
    assert rest == line or (presses > 1 and rest.endswith(line))


@pytest.mark.parametrize("command", [["flush"], ["dead-letter", "retry", "--all"]])
def test_what_writes_into_the_spool_of_another_user_is_refused(
    command: list[str],
    spool: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _leave_behind(spool, 1)
    owner = spool.stat().st_uid
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: owner + 1)
        assert main(command) == 2
    assert f"belongs to user {owner}, the portal's; run it as that user" in capsys.readouterr().err
    assert _status(capsys)["pending"] == 1
