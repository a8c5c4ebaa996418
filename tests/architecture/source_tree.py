"""The checkout's files, as git would publish them."""

import subprocess
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ops_service", "projections", "portal_hooks")


@cache
def published_files() -> tuple[Path, ...]:
    """Every file that is tracked, or new and not ignored; deleted ones are left out."""
    try:
        names = _listed_by_git()
    except (OSError, subprocess.CalledProcessError):  # no git here, or an unpacked archive
        names = _listed_by_walking()
    return tuple(path for name in names if (path := ROOT / name).is_file())


def _listed_by_git() -> list[str]:
    git = ["git", "-c", "safe.directory=*"]  # a checkout mounted into a container belongs to someone else
    listed = subprocess.run(
        [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return sorted(set(listed.stdout.decode().split("\0")) - {""})


def _listed_by_walking() -> list[str]:
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line]
    paths = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
    return sorted(
        path.as_posix()
        for path in paths
        if not any(fnmatch(part, pattern) for part in path.parts for pattern in [".git", *ignored])
    )


def below(folders: tuple[str, ...], suffix: str) -> list[Path]:
    """The published files with this suffix in any of the folders."""
    files = [path for path in published_files() if path.suffix == suffix]
    return [path for path in files if path.relative_to(ROOT).parts[0] in folders]


def name_of(path: Path) -> str:
    """The path inside the checkout, for messages."""
    return path.relative_to(ROOT).as_posix()
