"""How one event stands in a spool file: a header with length and checksum, then times, ids and the body.

A frame is written by one `write(2)`. A reader can tell a whole frame from a torn or damaged one, and finds
the next whole one behind it.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final, NamedTuple

MAGIC: Final = b"\xf5OPS"
"""Starts a frame. 0xf5 occurs in no UTF-8 text, so that no body can look like a frame."""

_HEADER = struct.Struct("<4sII")
_FIELDS = struct.Struct("<QHH")
_MAX_FRAME_BYTES: Final = 72 * 1024
CHUNK_BYTES: Final = 2 * _MAX_FRAME_BYTES
"""How much is read at a time: little, for while it is taken apart the portal's own threads have to wait."""


class Record(NamedTuple):
    """One spooled event."""

    emitted_at: int
    """Microseconds since 1970; never falls within one file."""
    event_id: str
    session_id: str
    body: bytes
    """The envelope as JSON: every attempt sends these bytes."""


class Scan(NamedTuple):
    """What a stretch of a spool file holds."""

    frames: list[tuple[Record, int]]
    """Each record and the position behind it, counted from the stretch's start."""
    end: int
    """Where reading has to go on."""
    damaged: int
    """Bytes passed over because they form no whole frame."""


def encode_frame(record: Record) -> bytes:
    """The bytes of one frame. Raises ValueError for a record too large to be read back."""
    event_id, session_id = record.event_id.encode(), record.session_id.encode()
    fields = _FIELDS.pack(record.emitted_at, len(event_id), len(session_id))
    content = b"".join((fields, event_id, session_id, record.body))
    if len(content) > _MAX_FRAME_BYTES - _HEADER.size:
        raise ValueError(f"a spooled event has at most {_MAX_FRAME_BYTES} bytes, this one has {len(content)}")
    return _HEADER.pack(MAGIC, len(content), zlib.crc32(content)) + content


def scan_frames(data: bytes, *, at_end: bool, final: bool) -> Scan:
    """Read the frames of `data`, a stretch of at most CHUNK_BYTES.

    `at_end`: the file has no more bytes now. `final`: nor will it get any, so that what is no frame is lost.
    """
    frames: list[tuple[Record, int]] = []
    position = damaged = 0
    while position < len(data):
        found = _next_frame(data, position)
        if found is None:
            break
        start, record, end = found
        damaged += start - position
        frames.append((record, end))
        position = end
    if at_end and final:
        damaged += len(data) - position
        position = len(data)
    elif not at_end and not frames:
        position = len(data) - _MAX_FRAME_BYTES
        damaged += position
    return Scan(frames, position, damaged)


def _next_frame(data: bytes, position: int) -> tuple[int, Record, int] | None:
    """The first whole frame at or behind `position`: its start, its record, its end."""
    while position >= 0:
        frame = _frame_at(data, position)
        if frame is not None:
            return position, *frame
        position = data.find(MAGIC, position + 1)
    return None


def _frame_at(data: bytes, position: int) -> tuple[Record, int] | None:
    start = position + _HEADER.size
    if len(data) < start:
        return None
    magic, length, checksum = _HEADER.unpack_from(data, position)
    end = start + length
    if magic != MAGIC or length < _FIELDS.size or end > len(data):
        return None
    content = data[start:end]
    if zlib.crc32(content) != checksum:
        return None
    emitted_at, event_id_bytes, session_id_bytes = _FIELDS.unpack_from(content)
    session_start = _FIELDS.size + event_id_bytes
    body_start = session_start + session_id_bytes
    record = Record(
        emitted_at,
        content[_FIELDS.size : session_start].decode(),
        content[session_start:body_start].decode(),
        content[body_start:],
    )
    return record, end
