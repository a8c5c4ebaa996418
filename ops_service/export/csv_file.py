"""A CSV file as an answer: RFC 4180, UTF-8, safe to open in a spreadsheet."""

import csv
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from io import TextIOWrapper
from typing import IO, Any, Final

from fastapi.responses import StreamingResponse

from ops_service.http.problems import Problem

MAX_ROWS: Final = 100_000
CHUNK: Final = 2_000
"""Rows read at a time."""

_IN_MEMORY_BYTES: Final = 4 * 1024 * 1024
_BLOCK_BYTES: Final = 64 * 1024
# Before what a spreadsheet takes for the beginning of a formula, in its full-width forms too: at the value's
# start, and after what one that is set to another separator, or minds no quotes, ends a cell at.
_SIGNS: Final = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_FORMULA: Final = re.compile(f"^(?=[{_SIGNS}\t\r\n])|([;|\t\r\n])(?=[{_SIGNS}])")


def require_few(rows: int) -> None:
    """Raises Problem 422 for more rows than a file may have."""
    if rows > MAX_ROWS:
        raise Problem(422, f"More than {MAX_ROWS} rows match; narrow the filters.")


def write(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> IO[bytes]:
    """The whole file, so that no slow reader keeps the database waiting.

    Raises Problem 422 for too many rows.
    """
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - the answer closes it
    # The mark tells spreadsheets that it is UTF-8.
    text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    with ExitStack() as on_failure:
        on_failure.callback(file.close)
        for number, row in enumerate(rows, 1):
            require_few(number)
            writer.writerow([_cell(value) for value in row])
        on_failure.pop_all()
    text.detach()
    file.seek(0)
    return file


def answer(name: str, file: IO[bytes]) -> StreamingResponse:
    """Offers the file for download as `name`.csv."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(_blocks(file), media_type="text/csv; charset=utf-8", headers=headers)


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def _cell(value: Any) -> Any:
    return _FORMULA.sub(r"\1'", value) if isinstance(value, str) else value
