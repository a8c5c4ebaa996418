"""The desk's files, as small as they can be sent without a build: no comments, compressed."""

import gzip
import re
from collections.abc import Mapping
from functools import lru_cache
from os import PathLike, stat_result
from pathlib import Path
from typing import Final

from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers
from starlette.staticfiles import NotModifiedResponse
from starlette.types import Scope

COMPRESSED: Final = {".js": "text/javascript", ".css": "text/css"}
# Comments that have lines of their own; what stands behind code may be part of a text.
_COMMENTS: Final = re.compile(rb"^[ \t]*(?://[^\n]*|/\*.*?\*/[ \t]*)$", re.MULTILINE | re.DOTALL)


def without_comments(source: bytes) -> bytes:
    """The script or style as it is sent; its lines keep their numbers."""
    return _COMMENTS.sub(lambda found: b"\n" * found[0].count(b"\n"), source)


class DeskFiles(StaticFiles):
    """Always checked for a newer version, never guessed at."""

    def __init__(self, directory: Path, headers: Mapping[str, str]) -> None:
        super().__init__(directory=directory)
        self._headers = headers

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        asked = Headers(scope=scope)
        media_type = COMPRESSED.get(Path(full_path).suffix)
        if media_type and scope["method"] == "GET" and not isinstance(response, NotModifiedResponse):
            response = _sent(Path(full_path), stat_result.st_mtime_ns, media_type, asked, response)
        response.headers.update(self._headers)
        return response


def _sent(path: Path, changed_at: int, media_type: str, asked: Headers, whole: Response) -> Response:
    small, packed = _contents(path, changed_at)
    accepts = "gzip" in asked.get("accept-encoding", "")
    headers = {"ETag": whole.headers["etag"], "Vary": "Accept-Encoding"}
    if accepts:
        headers["Content-Encoding"] = "gzip"
    return Response(packed if accepts else small, media_type=media_type, headers=headers)


@lru_cache(maxsize=256)
def _contents(path: Path, _changed_at: int) -> tuple[bytes, bytes]:
    small = without_comments(path.read_bytes())
    return small, gzip.compress(small, mtime=0)
