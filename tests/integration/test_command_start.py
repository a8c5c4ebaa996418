"""Ctrl-C while a command still loads what it needs: it ends at once, without a word about where it was."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CTRL_C = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"


@pytest.mark.parametrize(
    ("program", "imported"),
    [
        ("ops-service", "typer"),
        ("ops-rebuild-projections", "multiprocessing"),
        ("ops-rebuild-projections", "typer"),
        ("ops-rebuild-projections", "sqlalchemy"),  # its helpers load it, too
        ("ops-portal-outbox", "httpx"),
    ],
)
def test_ctrl_c_while_a_command_loads_is_quiet(program: str, imported: str, tmp_path: Path) -> None:
    (tmp_path / f"{imported}.py").write_text(CTRL_C)
    done = subprocess.run(
        [Path(sys.executable).with_name(program), "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
