"""`pip install ./portal_hooks`, as docs/portal.md says: the portal's side alone, with its command."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The folder that pip installed into, from a copy: it builds where it installs from."""
    copy = shutil.copytree(
        ROOT / "portal_hooks", tmp_path / "portal_hooks", ignore=shutil.ignore_patterns("build", "*.egg-info")
    )
    pip = (
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
    )
    run(*pip, "--target", str(tmp_path / "site"), str(copy))
    return tmp_path / "site"


def test_it_installs_alone_and_works(installed: Path, tmp_path: Path) -> None:
    path = {"PYTHONPATH": str(installed)}
    found = run(sys.executable, "-c", "import portal_hooks.testing; print(portal_hooks.__file__)", **path)
    assert Path(found.strip()).is_relative_to(installed)
    (tmp_path / "spool").mkdir()
    command = str(installed / "bin" / "ops-portal-outbox")
    assert "pending   0" in run(command, "--spool", str(tmp_path / "spool"), "status", **path)
    parts = {each.name for each in installed.iterdir()} - {"bin", "__pycache__"}
    assert {part.split("-")[0] for part in parts} == {"portal_hooks"}
    assert (installed / "portal_hooks" / "py.typed").exists()


def test_both_descriptions_agree() -> None:
    ours, whole = described(ROOT / "portal_hooks"), described(ROOT)
    assert ours["version"] == whole["version"]
    assert ours["requires-python"] == whole["requires-python"]
    assert set(ours["dependencies"]) <= set(whole["dependencies"])
    assert ours["optional-dependencies"]["redis"] == whole["optional-dependencies"]["redis"]
    assert ours["scripts"].items() <= whole["scripts"].items()


def described(folder: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return project
