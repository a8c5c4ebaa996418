"""The desk's files, as small as they can be sent without a build: no comments, no indentation, compressed."""

import gzip
import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from os import PathLike, stat_result
from pathlib import Path
from typing import Final, NamedTuple

import brotli
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Scope

from ops_service.joined_modules import joined

ENTRY: Final = "app.js"
"""Is sent together with all it imports."""

_MEDIA_TYPES: Final = {".js": "text/javascript", ".css": "text/css"}
# Comments that have lines of their own; what stands behind code may be part of a text.
_COMMENTS: Final = re.compile(r"^[ \t]*(?://[^\n]*|/\*.*?\*/[ \t]*)$", re.MULTILINE | re.DOTALL)
_BREAKS: Final = re.compile(r"\s*\n\s*")
# Where a line may go on: behind these no break has a meaning, unless they stand in a comment behind code.
_GOES_ON: Final = re.compile(r"^((?:(?!//).)*[{(\[,;])\n", re.MULTILINE)
_REFUSED: Final = re.compile(r";\s*q=0(?:\.0*)?$")


def condensed(source: str) -> str:
    """The source without comments, indentation and needless breaks. No text in it may have several lines."""
    return _GOES_ON.sub(r"\1", _BREAKS.sub("\n", _COMMENTS.sub("", source)).lstrip())


class Sent(NamedTuple):
    """A file as it is sent, by the encoding a client accepts; the best one first."""

    bodies: dict[str, bytes]
    etag: str


class DeskFiles(StaticFiles):
    """Always checked for a newer version, never guessed at."""

    def __init__(self, directory: Path, headers: Mapping[str, str]) -> None:
        super().__init__(directory=directory)
        self._folder = directory
        self._headers = headers

    async def get_response(self, path: str, scope: Scope) -> Response:
        # Slashes too many and dots are taken out of `path`; each file has one address.
        if scope["path"] != f"{scope['root_path']}/{path}":
            raise HTTPException(404)
        # Packing takes a third of a second, once; other requests go on meanwhile. What is wrong with a path
        # is answered below.
        with suppress(OSError, ValueError):
            await run_in_threadpool(self._pack, path)
        return await super().get_response(path, scope)

    def _pack(self, path: str) -> None:
        full_path = Path(self.lookup_path(path)[0])
        if full_path.suffix in _MEDIA_TYPES:
            sent(full_path, _newest(self._folder))

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        path = Path(full_path)
        if path.suffix in _MEDIA_TYPES:
            response = _answer(path, sent(path, _newest(self._folder)), Headers(scope=scope))
        else:
            response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(self._headers)
        return response


@lru_cache(maxsize=256)
def sent(path: Path, _changed_at: int = 0) -> Sent:
    """What is sent for the file."""
    source = joined(path) if path.name == ENTRY else path.read_text(encoding="utf-8")
    plain = condensed(source).encode()
    bodies = {"br": brotli.compress(plain), "gzip": gzip.compress(plain, mtime=0), "identity": plain}
    return Sent(bodies, f'W/"{hashlib.sha256(plain).hexdigest()[:32]}"')


def _newest(folder: Path) -> int:
    """When any of the files changed last: one of them may be sent within another."""
    return max(path.stat().st_mtime_ns for path in folder.rglob("*.*"))


def _answer(path: Path, file: Sent, asked: Headers) -> Response:
    headers = {"ETag": file.etag, "Vary": "Accept-Encoding"}
    if file.etag in asked.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    encoding = next((one for one in file.bodies if _is_accepted(one, asked)), "identity")
    if encoding != "identity":
        headers["Content-Encoding"] = encoding
    return Response(file.bodies[encoding], media_type=_MEDIA_TYPES[path.suffix], headers=headers)


def _is_accepted(encoding: str, asked: Headers) -> bool:
    parts = [part.strip() for part in asked.get("accept-encoding", "").split(",")]
    return any(part.split(";")[0].strip() == encoding and not _REFUSED.search(part) for part in parts)
