"""The desk's sources keep to what its content security policy and its size allow."""

import re

from ops_service.desk_files import sent
from ops_service.joined_modules import in_order
from tests.architecture.source_tree import ROOT, below, name_of

FRONTEND = ("frontend",)
FOLDER = ROOT / "frontend"
CATALOGS = [FOLDER / "i18n" / f"{language}.js" for language in ("en", "pt")]
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
    page = (FOLDER / "index.html").read_text()
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page) == []
    assert re.findall(r"(?:src|href)=\"(?!/static/)[^\"]*\"", page) == []


def test_scripts_and_styles_stay_small() -> None:
    """All a browser ever loads, every view and the larger catalog, compressed as it gets it."""
    early, all_views = (sent(FOLDER / name) for name in ("lib/early-theme.js", "app.js"))
    catalog = max((sent(path) for path in CATALOGS), key=lambda file: len(file.bodies["br"]))
    assert sum(len(file.bodies["br"]) for file in (early, all_views, catalog)) <= JS_BYTES
    assert 0 < sum(len(sent(path).bodies["br"]) for path in below(FRONTEND, ".css")) <= CSS_BYTES


def test_every_script_is_sent() -> None:
    """So that the sizes are those of all there is."""
    loaded = {*in_order(FOLDER / "app.js"), *CATALOGS, FOLDER / "lib" / "early-theme.js"}
    assert {*below(FRONTEND, ".js")} == loaded


def test_browser_tests_use_the_page_that_is_watched() -> None:
    """The fixture `page` fails a test for console errors, policy violations and foreign requests."""
    unwatched = re.compile(r"\.new_(page|context)\(")
    tests = [path for path in below(("tests",), ".py") if path.parent.name == "e2e"]
    assert len(tests) > 5
    assert [name_of(path) for path in tests if unwatched.search(path.read_text())] == []
