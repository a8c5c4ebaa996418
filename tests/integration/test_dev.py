"""`make run`: the second time, when somebody can sign in and events wait for Ops."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from portal_hooks import OnboardHooks
from portal_hooks.settings import HookSettings
from tests.integration.test_demo import ROOT, last_event, started, until
from tests.people import PASSWORD
from tests.servers.process import free_port


def ops_service(folder: Path, command: str, **environment: str) -> str:
    """What `ops-service` says from another shell in the folder, where it has the password to read."""
    done = subprocess.run(
        [sys.executable, "-m", "ops_service", *command.split()],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=folder,
        input=PASSWORD,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def leave_an_event_behind(folder: Path) -> None:
    """A portal that emitted while Ops was down, and ended."""
    hooks = OnboardHooks(
        HookSettings(f"http://127.0.0.1:{free_port()}/hook", b"k" * 32, folder / "var/spool")
    )
    hooks.emit("onboarding.started", "s1")
    hooks.close()


@pytest.mark.parametrize(
    ("portal", "ops", "told"),
    [
        ("abc", "8080", "PORTAL_PORT: a port is a number from 1 to 65535"),
        ("", "8080", "PORTAL_PORT: a port is a number from 1 to 65535"),
        ("70000", "8080", "PORTAL_PORT: a port is a number from 1 to 65535"),
        ("8090", "0", "OPS_PORT: the portal must know the port; give one from 1 to 65535"),
        ("08123", "8123", "OPS_PORT and PORTAL_PORT are both 8123; give one of them another port"),
    ],
)
def test_ports_that_cannot_be_are_told_before_anything_starts(
    portal: str, ops: str, told: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ops_service", "dev"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPS_PORT": ops, "PORTAL_PORT": portal},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"ops-service: {told}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_restart_sends_what_waits_and_says_how_to_get_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("OPS_DATABASE_URL", "sqlite:///other.db")
        ops_service(tmp_path, "user create ana --role admin --password")
        leave_an_event_behind(tmp_path)
        with started(tmp_path, "ops_service", "dev") as (process, url, log):
            until(lambda: "Ctrl-C stops both" in log.read_text() or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            until(lambda: last_event(url) != "None")
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
    said = log.read_text()
    assert not re.search("WARNING|ERROR|Traceback", said), said
    hint = re.search(r"password forgotten: (.*)\.venv/bin/ops-service (.*)\)", said)
    assert hint
    settings = dict(setting.split("=", 1) for setting in hint[1].split())
    assert ops_service(tmp_path, hint[2], **settings).startswith(f"{url}/#/welcome/")
