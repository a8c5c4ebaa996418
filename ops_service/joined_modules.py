"""An ES module and all it imports as one script, as a browser would run them: one answer instead of sixty.

Exports stand beside each other: so no two modules may export the same name. A module with a name of its own
that another has too becomes a function, so that each keeps its own. It reads only what our own sources are
written in, each at the beginning of a line: `import { a, b } from "./file.js";` and `export` in front of a
declaration.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "(\.[^"]+)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)
_DECLARED: Final = re.compile(r"^(?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE)
_OTHER: Final = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


class NotJoinable(Exception):
    """The sources use a form of modules that is not read here; tells which and where."""


def joined(entry: Path) -> str:
    """The script that does what loading the module `entry` does. Raises NotJoinable."""
    exports: dict[str, Path] = {}
    bodies: list[tuple[str, list[str]]] = []
    for path in in_order(entry):
        source = path.read_text(encoding="utf-8")
        names = _EXPORT.findall(source)
        for name in names:
            if exports.setdefault(name, path) != path:
                raise NotJoinable(f"{exports[name]} and {path} both export {name}")
        body = _EXPORT.sub("", _IMPORT.sub("", source))
        if other := _OTHER.search(body):
            raise NotJoinable(f"{path}: {other[0]}")
        bodies.append((body, names))
    uses = Counter(name for body, _ in bodies for name in _DECLARED.findall(body))
    return "".join(
        _scoped(body, names) if any(uses[name] > 1 for name in _DECLARED.findall(body)) else body
        for body, names in bodies
    )


def in_order(entry: Path) -> list[Path]:
    """The module's files, each behind those it imports. Raises NotJoinable for a circle."""
    return list(_visit(entry.resolve(), [], set()))


def _visit(path: Path, ancestors: list[Path], seen: set[Path]) -> Iterator[Path]:
    if path in ancestors:
        raise NotJoinable(f"{path} imports itself through {ancestors[-1]}")
    if path in seen:
        return
    seen.add(path)
    for name in _IMPORT.findall(path.read_text(encoding="utf-8")):
        yield from _visit((path.parent / name).resolve(), [*ancestors, path], seen)
    yield path


def _scoped(body: str, names: list[str]) -> str:
    if not names:
        return f"{{\n{body}}}\n"
    listed = ", ".join(names)
    return f"const {{ {listed} }} = (() => {{\n{body}return {{ {listed} }};\n}})();\n"
