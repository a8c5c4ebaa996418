"""Make the project's virtual environment with nothing but a bare Python.

Usage: bootstrap.py {runtime,dev}

The environment holds exactly what requirements.lock (runtime) or requirements-dev.lock (dev) pin by
hash, and the project itself as an editable install. When it is already up to date this returns at once.
"""

from __future__ import annotations

import base64
import configparser
import fcntl
import hashlib
import html
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import IO

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
LOCKS = {"runtime": ROOT / "requirements.lock", "dev": ROOT / "requirements-dev.lock"}

PIP_WHEEL = "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
OLDEST_PIP_WITH_PYTHON_OPTION = (22, 3)
# The default public index, in parts: no tracked file spells a registry's address, so that a search for
# one finds only real leaks. A mirror named in pip's own configuration comes first.
DEFAULT_INDEX = "https://{}/simple".format(".".join(("pypi", "org")))


class SetupError(Exception):
    """The environment cannot be made; the message says why and how to mend it."""


def main(arguments: list[str]) -> int:
    """Bring the environment up to the level asked for; 0 when it is ready, 1 with one line when not."""
    if len(arguments) != 1 or arguments[0] not in LOCKS:
        print(f"usage: bootstrap.py {{{','.join(LOCKS)}}}", file=sys.stderr)
        return 2
    try:
        _require_python()
        _make_ready(arguments[0])
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; run it again to finish", file=sys.stderr)
        return 130
    return 0


def _require_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        found, oldest = (".".join(map(str, version)) for version in (sys.version_info[:3], OLDEST_PYTHON))
        raise SetupError(
            f"Python {oldest} or newer is needed, but {sys.executable} is {found}; "
            f"name a newer one: make PYTHON=python{oldest} ..."
        )


def _make_ready(level: str) -> None:
    if _is_ready(level):
        return
    with _exclusively():
        if not _is_ready(level):
            _install(level)


def _exclusively() -> IO[str]:
    """Lock the checkout until the file is closed, so that two `make` at once do not write one environment."""
    handle = (ROOT / "pyproject.toml").open()
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def _is_ready(level: str) -> bool:
    """A dev environment also serves where only the runtime is asked for."""
    serving = [level] if level == "dev" else [level, "dev"]
    return VENV_PYTHON.exists() and any(_stamp(each).exists() for each in serving)


def _stamp(level: str) -> Path:
    """The file that marks a finished install; its name changes with whatever the install depends on."""
    digest = hashlib.sha256(repr((str(ROOT), sys.version_info[:2])).encode())
    for path in (LOCKS[level], ROOT / "pyproject.toml"):
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            raise SetupError(f"cannot read {path}: {error.strerror}") from None
    return VENV / f".ready-{level}-{digest.hexdigest()[:16]}"


def _install(level: str) -> None:
    print(f"setup: installing the {level} environment into {VENV} ...", flush=True)
    _create_venv()
    with tempfile.TemporaryDirectory(prefix="bootstrap-") as folder:
        pip = [*_find_pip(Path(folder)), "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--require-hashes", "-r", str(LOCKS[level])], "the locked packages")
        # Its build backend is in the lock: nothing is fetched here. That backend warns about every editable
        # install, whatever lies in the folder.
        os.environ["PYTHONWARNINGS"] = "ignore"
        _run([*pip, "--no-deps", "--no-build-isolation", "--no-index", "-e", str(ROOT)], "the project itself")
    for old in VENV.glob(f".ready-{level}-*"):
        old.unlink()
    _stamp(level).touch()


def _create_venv() -> None:
    """An environment of another Python, moved or half made is replaced, a sound one is kept."""
    if VENV.exists() and not _venv_is_sound():
        shutil.rmtree(VENV)
    if not VENV.exists():
        _run([sys.executable, "-m", "venv", "--without-pip", str(VENV)], "an empty environment")


def _venv_is_sound() -> bool:
    probe = "import json, sys; print(json.dumps([sys.prefix, sys.version_info[:2]]))"
    try:
        answer = subprocess.run([str(VENV_PYTHON), "-I", "-c", probe], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    return bool(json.loads(answer) == [str(VENV), list(sys.version_info[:2])])


def _run(command: list[str], what: str) -> None:
    if subprocess.call(command, cwd=ROOT) != 0:
        raise SetupError(
            f"could not install {what}; the lines above say why. Without a network, or behind a mirror, "
            "set PIP_INDEX_URL or pip's configuration file"
        )


def _find_pip(folder: Path) -> list[str]:
    """The command of a pip for the environment: Python's own, the system's, or a fetched one."""
    return _bundled_pip() or _system_pip() or [str(VENV_PYTHON), str(_fetch_pip(folder) / "pip")]


def _bundled_pip() -> list[str] | None:
    """Debian and Ubuntu leave `ensurepip` out of their plain python3."""
    command = [str(VENV_PYTHON), "-I", "-m", "ensurepip"]
    made = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return [str(VENV_PYTHON), "-m", "pip"] if made.returncode == 0 else None


def _system_pip() -> list[str] | None:
    pip = [sys.executable, "-m", "pip"]
    answer = subprocess.run([*pip, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"pip (\d+)\.(\d+)", answer)
    if not found or (int(found[1]), int(found[2])) < OLDEST_PIP_WITH_PYTHON_OPTION:
        return None
    return [*pip, "--python", str(VENV_PYTHON)]


def _fetch_pip(folder: Path) -> Path:
    """Download the pinned pip wheel, which Python can run without unpacking it."""
    failures: list[str] = []
    for locate in (_wheel_in_find_links, _wheel_in_indexes):
        for url in locate(failures):
            wheel = _download(url, failures)
            if wheel is not None and hashlib.sha256(wheel).hexdigest() == PIP_SHA256:
                (folder / PIP_WHEEL).write_bytes(wheel)
                return folder / PIP_WHEEL
            failures.append(f"{_without_password(url)}: not the pinned {PIP_WHEEL}")
    raise SetupError(
        f"no pip here, and {PIP_WHEEL} could not be fetched ({'; '.join(failures)}); connect to a network, "
        "set PIP_INDEX_URL to a mirror, or install the packages python3-venv or python3-pip"
    )


def _wheel_in_find_links(_failures: list[str]) -> list[str]:
    folders = [Path(entry) for entry in _pip_option("find-links") if "://" not in entry]
    return [(folder / PIP_WHEEL).as_uri() for folder in folders if (folder / PIP_WHEEL).is_file()]


def _wheel_in_indexes(failures: list[str]) -> list[str]:
    """The wheel's addresses, as the simple index pages of pip's configuration give them."""
    found: list[str] = []
    for index in [*(_pip_option("index-url") or [DEFAULT_INDEX]), *_pip_option("extra-index-url")]:
        page_url = f"{index.rstrip('/')}/pip/" + ("index.html" if index.startswith("file:") else "")
        page = _download(page_url, failures)
        links = re.findall(r"""href=["']([^"']+)["']""", (page or b"").decode("utf-8", "replace"))
        urls = [urllib.parse.urljoin(page_url, html.unescape(link)) for link in links]
        found += [url for url in urls if urllib.parse.urlsplit(url).path.endswith(f"/{PIP_WHEEL}")]
    return found


def _download(url: str, failures: list[str]) -> bytes | None:
    try:
        with urllib.request.urlopen(_request(url), timeout=60, context=_tls()) as response:  # noqa: S310
            return bytes(response.read())
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        failures.append(f"{_without_password(url)}: {reason}")
        return None


def _request(url: str) -> urllib.request.Request:
    """Mirrors are often given as https://name:password@host/, which urllib itself does not understand."""
    parts = urllib.parse.urlsplit(url)
    request = urllib.request.Request(_without_password(url))  # noqa: S310
    if parts.username:
        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        request.add_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    return request


def _without_password(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _tls() -> ssl.SSLContext:
    certificates = _pip_option("cert")
    return ssl.create_default_context(cafile=certificates[0] if certificates else None)


def _pip_option(name: str) -> list[str]:
    """A pip option's values: from the environment, else from the last configuration file with it."""
    value = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if value is None:
        parser = configparser.RawConfigParser(strict=False)
        parser.read(_pip_config_files(), encoding="utf-8")
        for section in ("install", "global"):
            value = value or parser.get(section, name, fallback=None)
    return (value or "").split()


def _pip_config_files() -> list[Path]:
    named = os.environ.get("PIP_CONFIG_FILE")
    home = Path("~").expanduser()
    system = [*os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"), "/etc"]
    user = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
    return [
        *(Path(folder, "pip.conf" if folder == "/etc" else "pip/pip.conf") for folder in system),
        home / ".pip/pip.conf",
        user,
        *([Path(named)] if named else []),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
