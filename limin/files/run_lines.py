"""One line of a run's output: the fields of the answer, and what a resumed run needs.

The last field of a line, `limin`, has the number of the input line and the hash of its
request, and ends with the CRC-32 of all bytes before it. So a damaged line is never taken
for an answer, and a run is resumed without reading the answers.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

Shape: TypeAlias = Literal["fields", "openai"]

# What an output may add before its own names of fields.
PREFIX = re.compile(r"[A-Za-z0-9_.-]{0,64}")

# Longer than any mark at the end of a line.
_LONGEST_MARK = 512
_MARK = re.compile(
    rb'"([A-Za-z0-9_.-]{0,64})limin":\{"version":1,"line":([0-9]{1,18}),'
    rb'"request":"([0-9a-f]{64})","shape":"(fields|openai)","failed":(true|false),'
    rb'"time":([0-9]{1,12}\.[0-9]{1,6}),"crc32":"([0-9a-f]{8})"\}\}$'
)
_AFTER_CHECKSUM = len(b'"crc32":"00000000"}}')


@attrs.frozen(kw_only=True)
class Mark:
    """What a line says of itself.

    Attributes:
        number: Number of the input line.
        request: SHA-256 of the request's canonical JSON.
        shape: Whether the line is of OpenAI's output, or has the input's fields.
        failed: Whether there is no answer.
        time: When it was written, in Unix seconds.
        prefix: What stands before the names of the output's own fields.
    """

    number: int
    request: bytes
    shape: Shape
    failed: bool
    time: float
    prefix: str = ""


def encode_line(fields: bytes, mark: Mark) -> bytes:
    """Return a JSON object of *fields*, another one, and of *mark*, with its newline."""
    inside = fields.rstrip()[:-1].rstrip()
    comma = b"" if inside == b"{" else b","
    failed = "true" if mark.failed else "false"
    text = (
        f'"{mark.prefix}limin":{{"version":1,"line":{mark.number},'
        f'"request":"{mark.request.hex()}","shape":"{mark.shape}","failed":{failed},'
        f'"time":{mark.time:.3f},'
    )
    line = inside + comma + text.encode()
    return b'%b"crc32":"%08x"}}\n' % (line, zlib.crc32(line))


def read_mark(line: bytes) -> Mark | None:
    """Return the mark of *line*, without its newline; None if it is none, or damaged."""
    found = _MARK.search(line, max(len(line) - _LONGEST_MARK, 0))
    if found is None:
        return None
    prefix, number, request, shape, failed, time, checksum = found.groups()
    if zlib.crc32(memoryview(line)[:-_AFTER_CHECKSUM]) != int(checksum, 16):
        return None
    return Mark(
        number=int(number),
        request=bytes.fromhex(request.decode()),
        shape="openai" if shape == b"openai" else "fields",
        failed=failed == b"true",
        time=float(time),
        prefix=prefix.decode(),
    )


def without_mark(line: bytes, mark: Mark) -> bytes:
    """Return the JSON object on *line* without its *mark*."""
    start = line.rindex(b'"%blimin":{' % mark.prefix.encode())
    return line[:start].removesuffix(b",") + b"}"


def join_objects(*objects: bytes) -> bytes:
    """Return the fields of JSON *objects* as one object; none may be the same."""
    return b"{%b}" % b",".join(filter(None, _insides(objects)))


def _insides(objects: tuple[bytes, ...]) -> Iterator[bytes]:
    for each in objects:
        yield each.strip()[1:-1].strip()
