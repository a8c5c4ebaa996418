"""Modules and functions stay small enough to read in one go."""

import ast
import statistics
from collections.abc import Iterator

from tests.architecture.source_tree import PACKAGES, below, name_of

MODULE_LINES = 300
FUNCTION_LINES = 40
MEDIAN_FUNCTION_LINES = 12

# A file or a function ("file.py::name") that may be longer, with its bound and the reason.
LONGER_BY_REASON: dict[str, tuple[int, str]] = {}


def test_modules_are_short() -> None:
    sizes = _module_sizes()
    assert len(sizes) > 10
    assert _too_long(sizes, MODULE_LINES) == {}


def test_functions_are_short() -> None:
    sizes = dict(_functions())
    assert len(sizes) > 50
    assert _too_long(sizes, FUNCTION_LINES) == {}


def test_most_functions_are_very_short() -> None:
    assert statistics.median(lines for _, lines in _functions()) < MEDIAN_FUNCTION_LINES


def test_every_exception_is_still_needed() -> None:
    sizes = _module_sizes() | dict(_functions())
    limits = {name: FUNCTION_LINES if "::" in name else MODULE_LINES for name in LONGER_BY_REASON}
    assert [name for name, limit in limits.items() if sizes.get(name, 0) <= limit] == []


def _module_sizes() -> dict[str, int]:
    files = [*below(PACKAGES, ".py"), *below(("frontend",), ".js")]
    return {name_of(path): len(path.read_text().splitlines()) for path in files}


def _too_long(sizes: dict[str, int], limit: int) -> dict[str, int]:
    allowed = {name: bound for name, (bound, _reason) in LONGER_BY_REASON.items()}
    return {name: lines for name, lines in sizes.items() if lines > allowed.get(name, limit)}


def _functions() -> Iterator[tuple[str, int]]:
    """Each function's qualified name and its lines, from `def` to its end."""
    for path in below(PACKAGES, ".py"):
        yield from _inside(ast.parse(path.read_text()), f"{name_of(path)}::")


def _inside(parent: ast.AST, prefix: str) -> Iterator[tuple[str, int]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, (node.end_lineno or node.lineno) - node.lineno + 1
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from _inside(node, f"{prefix}{getattr(node, 'name', '')}." if named else prefix)
