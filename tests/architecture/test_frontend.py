"""The desk's sources keep to what its content security policy and its size allow."""

import gzip
import re
from pathlib import Path

from ops_service.desk_files import without_comments
from tests.architecture.source_tree import ROOT, below, name_of

FRONTEND = ("frontend",)
JS_BYTES = 30 * 1024
CSS_BYTES = 10 * 1024
MARKUP_FROM_TEXT = re.compile(
    r"(inner|outer|insertAdjacent)HTML|document\.write|createContextualFragment|DOMParser"
    r"|\beval\(|new Function"
)


def test_no_text_becomes_markup_or_code() -> None:
    sources = below(FRONTEND, ".js")
    assert len(sources) > 20
    assert [name_of(path) for path in sources if MARKUP_FROM_TEXT.search(path.read_text())] == []


def test_only_the_api_module_talks_to_the_service() -> None:
    talking = re.compile(r"\bfetch\(|XMLHttpRequest|sendBeacon|WebSocket|EventSource")
    assert [name_of(path) for path in below(FRONTEND, ".js") if talking.search(path.read_text())] == [
        "frontend/api.js"
    ]


def test_the_page_holds_no_inline_script_or_style_and_names_no_other_origin() -> None:
    page = (ROOT / "frontend" / "index.html").read_text()
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page) == []
    assert re.findall(r"(?:src|href)=\"(?!/static/)[^\"]*\"", page) == []


def imported_from(entry: str) -> list[Path]:
    """The module and all it imports, themselves and through others; not what it imports when needed."""
    found = [(ROOT / "frontend" / entry).resolve()]
    for path in found:
        names = re.findall(r'^import [^"]*"(\.[^"]+)";', path.read_text(), re.MULTILINE)
        found += [each for name in names if (each := (path.parent / name).resolve()) not in found]
    return found


def test_scripts_and_styles_stay_small() -> None:
    """What every browser loads, as it is sent: one catalog, no comments, no view that waits to be opened."""
    others = [ROOT / "frontend" / name for name in ("i18n/en.js", "lib/early-theme.js")]
    scripts = [*imported_from("app.js"), *others]
    assert len(scripts) > 20
    for paths, limit in ((scripts, JS_BYTES), (below(FRONTEND, ".css"), CSS_BYTES)):
        assert 0 < len(gzip.compress(b"".join(map(sent, paths)))) <= limit


def sent(path: Path) -> bytes:
    return without_comments(path.read_bytes())


def test_browser_tests_use_the_page_that_is_watched() -> None:
    """The fixture `page` fails a test for console errors, policy violations and foreign requests."""
    unwatched = re.compile(r"\.new_(page|context)\(")
    tests = [path for path in below(("tests",), ".py") if path.parent.name == "e2e"]
    assert len(tests) > 5
    assert [name_of(path) for path in tests if unwatched.search(path.read_text())] == []
