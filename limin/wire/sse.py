"""The bytes of a stream, to the data of its server-sent events.

Reading the data is left to `assembly`.
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from limin.errors import ResponseTooLargeError
from limin.wire.signs_of_life import is_name_of_life

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FIELD = b"data: "
_BETWEEN = b"\n\ndata: "
# `data: : OPENROUTER PROCESSING`, as proxies wrap a comment that they do not know.
_COMMENT_DATA = b"data: :"

# Searching bytes for a number is ten times faster than for a byte string of length 1.
_NEWLINE, _RETURN = b"\n\r"


class ErrorEvent(bytes):
    """The data of an event that is an error by its name.

    Either the event is named `error` (watsonx), or the field with its data is named
    `error` instead of `data` (llama.cpp's server until late 2025).
    """

    __slots__ = ()


class BareLines(bytes):
    """JSON on lines of its own, without a field: one value, or several on a line each.

    Servers write an error so when it strikes them in the middle of a stream (Gemini).
    """

    __slots__ = ()


_NAMES = frozenset({b"", b"data", b"event", b"id", b"retry", b"error"})
_LONGEST_NAME = max(map(len, _NAMES))
_ERROR_NAMES = (b"error", b"exception")
_BRACKETS = frozenset({b"{", b"["})
_COMMENT = b":"
_OPENINGS = frozenset({b"{", b"[", b"[{"})


def are_events(content_type: str, start: bytes, *, is_all: bool) -> bool | None:
    """Return whether a body is server-sent events; None if its start is too short.

    The start decides. Servers send a whole answer, or an error, where a stream was
    requested, and streams under a wrong content type.

    Args:
        content_type: The header; empty if there is none.
        start: The start of the body, as far as it came, without white space.
        is_all: Whether *start* is the whole body.
    """
    start = start.removeprefix(_BYTE_ORDER_MARK).lstrip()
    is_declared = content_type.partition(";")[0].strip().lower() == "text/event-stream"
    if not start:
        return is_declared if is_all else None
    if is_declared or start[:1] in _BRACKETS:
        return start[:1] not in _BRACKETS
    name, colon, _ = start.partition(b":")
    if colon:
        return name in _NAMES
    return False if is_all or len(start) > _LONGEST_NAME else None


class EventDecoder:
    """Finds the events in a stream, however the network cuts it.

    Comments and events without data are skipped: servers keep a connection alive with
    them. So are comments that stand in the place of data.
    """

    def __init__(self, limit: int = 16_000_000) -> None:
        """Start at the beginning of a stream.

        Args:
            limit: Size of the largest event or line that is accepted, in bytes.
        """
        self._limit = limit
        self._line = bytearray()  # The last line, as far as it came.
        self._values: list[bytes] = []  # Values of the event that is not complete yet.
        self._size = 0  # Size of its lines, in bytes.
        self._is_error = False
        self._is_sign_of_life = False  # Whether its name says so.
        self._is_bare = False  # Whether its values are lines without a field.
        self._is_open = False  # Whether its first value only opens JSON.
        self._is_start = True
        self._after_return = False
        self._is_too_large = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the data of the events that *data* completes, undecoded.

        The list is empty if no event with data became complete. The data of an error
        are an `ErrorEvent`, and JSON outside of events is `BareLines`.

        Raises:
            ResponseTooLargeError: If an event is larger than the limit. The events
                before it are returned first, and the next call raises.
        """
        if not self._line and _RETURN not in data:
            events = self._read_whole(data)
            if events is not None:
                self._after_return = False
                return events
        return self._read_pieces(data)

    def finish(self) -> list[bytes]:
        """Return the data of a last event whose blank line is missing.

        Raises:
            ResponseTooLargeError: If an event was larger than the limit.
        """
        return self._read_pieces(b"\n\n")

    def _read_whole(self, data: bytes) -> list[bytes] | None:
        """Return the events in *data* if each is whole and has one line, else None."""
        has_begun = self._values or self._is_error or self._is_sign_of_life
        if has_begun or self._is_too_large:
            return None
        if len(data) > self._limit or _COMMENT_DATA in data:
            return None
        if data[:6] != _FIELD or data[-2:] != b"\n\n":
            return None
        self._is_start = False
        inside = data[6:-2]
        # Most servers write one event at a time.
        if _NEWLINE not in inside:
            return [inside] if inside else []
        events = inside.split(_BETWEEN)
        if inside.count(b"\n") != 2 * len(events) - 2:
            return None
        return [event for event in events if event] if b"" in events else events

    def _read_pieces(self, data: bytes) -> list[bytes]:
        if self._is_too_large:
            raise self._too_large()
        if self._after_return and data:
            data = data.removeprefix(b"\n")
            self._after_return = False
        if _RETURN in data:
            self._after_return = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines, newline, rest = data.rpartition(b"\n")
        events: list[bytes] = []
        if newline:
            lines = bytes(self._line) + lines
            self._line.clear()
            # With the newline of their last line, a blank one, these are whole events.
            whole = self._read_whole(lines + b"\n") if lines.endswith(b"\n") else None
            events = self._read_lines(lines.split(b"\n")) if whole is None else whole
        self._line += rest
        self._is_too_large |= self._exceeds(self._line)
        if self._is_too_large and not events:
            raise self._too_large()
        return events

    def _exceeds(self, line: bytes | bytearray) -> bool:
        return len(line) > 0 and self._size + len(line) > self._limit

    def _read_lines(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        for line in lines:
            if self._exceeds(line):
                self._is_too_large = True
                break
            if self._is_start:
                self._is_start = False
                events += self._read_line(line.removeprefix(_BYTE_ORDER_MARK))
            elif line:
                events += self._read_line(line)
            else:
                events += self._end_event()
        return events

    def _read_line(self, line: bytes) -> list[bytes]:
        """Read a line of an event. Return the JSON without a field that ends before it."""
        name, colon, value = line.partition(b":")
        if name not in _NAMES:
            return self._read_bare_line(line)
        ended = self._end_event() if self._is_bare and line else []
        if name == b"event":
            self._is_error |= value.strip().lower().endswith(_ERROR_NAMES)
            self._is_sign_of_life = is_name_of_life(value)
        elif name in {b"data", b"error"}:
            self._is_error |= name == b"error"
            value = value.removeprefix(b" ")
            if not (colon and value.startswith(_COMMENT)):
                self._is_open |= not self._values and value.strip() in _OPENINGS
                self._keep(value, line)
        return ended

    def _read_bare_line(self, line: bytes) -> list[bytes]:
        """Read a line without a field. Return the event that it ends.

        JSON over several lines may have a field before its first line only.
        """
        if self._is_bare or self._is_open:
            self._keep(line, line)
        elif line.lstrip()[:1] in _BRACKETS:
            ended = self._end_event()
            self._is_bare = True
            self._keep(line, line)
            return ended
        return []

    def _keep(self, value: bytes, line: bytes) -> None:
        self._values.append(value)
        self._size += len(line) + 1

    def _end_event(self) -> list[bytes]:
        """Return the data of the event that is complete now, if it has any."""
        data = b"\n".join(self._values)
        if self._is_bare:
            data = BareLines(data)
        elif self._is_error:
            data = ErrorEvent(data)
        self._values, self._size = [], 0
        is_empty = not data or (self._is_sign_of_life and not _says_more(data))
        self._is_error = self._is_bare = self._is_open = self._is_sign_of_life = False
        return [] if is_empty else [data]

    def _too_large(self) -> ResponseTooLargeError:
        reason = f"an event of the stream is larger than {self._limit} bytes"
        return ResponseTooLargeError(reason, self._limit)


def _says_more(data: bytes) -> bool:
    """Return whether *data* are a chunk or an error, whatever the name of their event."""
    return isinstance(data, ErrorEvent) or b'"choices"' in data or b'"error"' in data
