"""What is published names no registry, no machine it was written on, and no test that is switched off."""

import re

import pytest

from tests.architecture.source_tree import ROOT, below, name_of, published_files


def joined(*parts: str) -> str:
    """A word this file must not spell itself."""
    return "".join(parts)


REGISTRY_HOSTS = [
    joined("pypi", ".org"),
    joined("pythonhosted", ".org"),
    joined("npmjs", ".org"),
    joined("npmjs", ".com"),
    joined("yarnpkg", ".com"),
    joined("deb.debian", ".org"),
    joined("security.debian", ".org"),
    joined("archive.ubuntu", ".com"),
    joined("crates", ".io"),
    joined("proxy.golang", ".org"),
    joined("playwright", ".dev"),
]
# A home, or a working folder at the root; `/home` alone or `/work` inside a longer path is no place.
MACHINE_PATH = re.compile(
    joined(r"(?<![\w.~/-])/(?:root|home/\w+|Users/\w+|work|opt/wheels|opt/", r"pypi)/[\w.]")
)
SWITCHED_OFF = re.compile(
    joined(r"\b(?:pytest\.(?:skip|xfail|importorskip)|mark\.(?:skip|skipif|xfail)|Skip", r"Test)\b")
)


def texts() -> list[tuple[str, str]]:
    """The name and content of every published text file."""
    contents = [(path, path.read_bytes()) for path in published_files()]
    return [(name_of(path), raw.decode("utf-8")) for path, raw in contents if b"\0" not in raw]


def test_no_file_names_a_package_registry() -> None:
    found = [(name, host) for name, text in texts() for host in REGISTRY_HOSTS if host in text.lower()]
    assert found == []


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [(name, match[0]) for name, text in texts() for match in MACHINE_PATH.finditer(text)]
    assert found == []


def test_no_test_is_switched_off() -> None:
    tests = [(name_of(path), path.read_text()) for path in below(("tests",), ".py")]
    assert len(tests) > 5
    assert [(name, match[0]) for name, text in tests for match in SWITCHED_OFF.finditer(text)] == []


def test_text_files_end_in_one_newline_and_have_unix_line_ends() -> None:
    ours = [(name, text) for name, text in texts() if "/vendor/" not in name]
    odd = [name for name, text in ours if text and ("\r" in text or not text.endswith("\n"))]
    assert odd == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_a_hash(name: str) -> None:
    lock = (ROOT / name).read_text()
    pins = re.findall(r"^[a-z0-9][\w.-]*==[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", lock, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[a-z0-9]", lock, re.MULTILINE)) > 30


def test_the_development_lock_contains_the_runtime_one() -> None:
    assert _pins("requirements.lock") <= _pins("requirements-dev.lock")


def _pins(lock: str) -> set[str]:
    """Names and versions; where a package is wanted, its marker, may differ."""
    return set(re.findall(r"^[a-z0-9][\w.-]*==[\w.]+", (ROOT / lock).read_text(), re.MULTILINE))
