"""An ES module and all it imports as one script, as a browser would run them: one answer instead of sixty.

What the modules declare stands side by side: so no two may use the same name. It reads only what our own
sources are written in, each at the beginning of a line: `import { a, b } from "./file.js";` and `export` in
front of a declaration.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "(\.[^"]+)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function|const|class) )", re.MULTILINE)
_DECLARED: Final = re.compile(r"^(?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE)
_OTHER: Final = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


class NotJoinable(Exception):
    """The sources use a form of modules that is not read here; tells which and where."""


def joined(entry: Path) -> str:
    """The script that does what loading the module `entry` does. Raises NotJoinable."""
    declared: dict[str, Path] = {}
    bodies: list[str] = []
    for path in in_order(entry):
        body = _EXPORT.sub("", _IMPORT.sub("", path.read_text(encoding="utf-8")))
        if other := _OTHER.search(body):
            raise NotJoinable(f"{path}: {other[0]}")
        for name in _DECLARED.findall(body):
            if declared.setdefault(name, path) != path:
                raise NotJoinable(f"{declared[name]} and {path} both declare {name}")
        bodies.append(body)
    return "".join(bodies)


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
