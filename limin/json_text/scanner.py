"""A scanner of JSON that grows: which values are closed, and where they stand.

The whole costs a pass over the text, however it is cut into pieces.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias

import msgspec

from limin.errors import JSONTextError

if TYPE_CHECKING:
    from collections.abc import Callable

Kind: TypeAlias = Literal[
    "object", "array", "end", "key", "string", "number", "true", "false", "null"
]

# Nested containers, at most. Python's parsers stop at about a thousand, less the frames
# of the program around them; an answer that one of them reads should not fail here.
DEEPEST: Final = 500

# What may come next. The texts are those of the errors.
_Expected: TypeAlias = Literal[
    "a value",
    "a value or ]",
    "a key or }",
    "a key",
    "a colon",
    "a comma or the end of the container",
    "the end of the text",
]

_SPACE = re.compile(r"[ \t\n\r]*+")
# RFC 8259, 7. Possessive, so that no text is read twice.
_CHARACTERS = re.compile(
    r"[^\"\\\x00-\x1f]*+(?:\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4})[^\"\\\x00-\x1f]*+)*+"
)
_PART_OF_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")
# RFC 8259, 6.
_IN_NUMBER = re.compile(r"[-+.0-9eE]*+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?")
_PART_OF_NUMBER = re.compile(
    r"-?(?:(?:0|[1-9][0-9]*+)(?:\.[0-9]*+)?(?:(?<=[0-9])[eE][-+]?[0-9]*+)?)?"
)
_WORDS: Final[dict[str, Literal["true", "false", "null"]]] = {
    "t": "true",
    "f": "false",
    "n": "null",
}
_FENCE = "```"
_LABELLED_FENCE = "```json"

_Reader: TypeAlias = "Callable[[JSONScanner, str, int], int]"


class Event(msgspec.Struct, frozen=True, gc=False):
    """A part of a JSON text that is closed, or a container that has begun.

    Attributes:
        kind: `object` and `array` begin a container, `end` ends the innermost one. The
            others are a key or a scalar.
        text: A key or a scalar as it is written, without quotation marks and with its
            escapes; the bracket of a container.
        start: Its start in the text, in characters; of a key or a string behind the
            quotation mark.
        end: Its end in characters; of a key or a string before the quotation mark.
    """

    kind: Kind
    text: str
    start: int
    end: int


class JSONScanner:
    """Reads one JSON value in pieces, strictly after RFC 8259.

    White space and one code fence may stand around the value; the fence need not be
    closed. Repeated keys are reported as they come. Nothing is raised: what is no JSON
    is an `error`, and the events before it are reported in any case.

    Attributes:
        error: The first place that is no JSON, or nests too deep; None if there is none
            so far. No event comes behind it.
    """

    __slots__ = (
        "_carry",
        "_events",
        "_expected",
        "_has_open_fence",
        "_kind",
        "_offset",
        "_open",
        "_parts",
        "_start",
        "error",
    )

    def __init__(self) -> None:
        self.error: JSONTextError | None = None
        self._events: list[Event] = []
        self._expected: _Expected = "a value"
        self._open: list[str] = []  # The brackets that will close the containers.
        self._has_open_fence = False
        # The key, string or number that has begun: its kind, start, and text so far.
        self._kind: Kind | None = None
        self._start = 0
        self._parts: list[str] = []
        # The characters of all pieces before this one, and the last few of them if
        # they can be read only with the next.
        self._offset = 0
        self._carry = ""

    @property
    def is_closed(self) -> bool:
        """Whether the value is closed, and nothing but white space or a fence follows.

        A number at the top is closed by what follows it, or by `finish`.
        """
        return self._expected == "the end of the text" and self.error is None

    def feed(self, piece: str) -> list[Event]:
        """Return the events that *piece* brings, in their order."""
        text, self._carry = self._carry + piece, ""
        position, end = 0, len(text)
        while position < end and not self._carry and self.error is None:
            if self._kind is None:
                position = _SPACE.match(text, position).end()  # type: ignore[union-attr]  # matches nothing, too
                position = self._read_mark(text, position) if position < end else end
            elif self._kind == "number":
                position = self._read_number(text, position)
            else:
                position = self._read_string(text, position)
        self._offset += position
        events, self._events = self._events, []
        return events

    def finish(self) -> list[Event]:
        """Return the event that the end of the text brings, if any: a number at the top.

        A text that breaks off is no error.
        """
        if self._kind != "number":
            return []
        text = "".join(self._parts)
        if not self._open and _NUMBER.fullmatch(text):
            self._close_scalar(text, self._offset)
        else:
            self._check_part_of_number(text)
        events, self._events = self._events, []
        return events

    def _read_mark(self, text: str, position: int) -> int:
        """Read the character at *position*, and what belongs to it; return the end."""
        read = self._readers[self._expected].get(text[position], JSONScanner._refuse)
        return read(self, text, position)

    def _refuse(self, text: str, position: int) -> int:
        return self._fail(self._expected, text, position)

    def _begin_key(self, text: str, position: int) -> int:
        self._begin("key", position + 1)
        return self._read_string(text, position + 1)

    def _begin_string(self, text: str, position: int) -> int:
        self._begin("string", position + 1)
        return self._read_string(text, position + 1)

    def _begin_number(self, text: str, position: int) -> int:
        self._begin("number", position)
        return self._read_number(text, position)

    def _begin(self, kind: Kind, position: int) -> None:
        self._kind, self._start, self._parts = kind, self._offset + position, []

    def _read_string(self, text: str, position: int) -> int:
        end = _CHARACTERS.match(text, position).end()  # type: ignore[union-attr]  # matches nothing, too
        part = text[position:end]
        if text.startswith('"', end):
            text = "".join((*self._parts, part)) if self._parts else part
            self._close_scalar(text, self._offset + end)
            return end + 1
        self._parts.append(part)
        if end == len(text):
            return end
        if _PART_OF_ESCAPE.fullmatch(text, end):
            self._carry = text[end:]
            return end
        is_escape = text[end] == "\\"
        expected = "an escape of JSON" if is_escape else "no control character in a string"
        return self._fail(expected, text, end + is_escape)

    def _read_number(self, text: str, position: int) -> int:
        end = _IN_NUMBER.match(text, position).end()  # type: ignore[union-attr]  # matches nothing, too
        self._parts.append(text[position:end])
        if end == len(text):
            return end
        number = "".join(self._parts)
        if _NUMBER.fullmatch(number):
            self._close_scalar(number, self._offset + end)
            return end
        self._check_part_of_number(number)
        return end if self.error else self._fail("a digit", text, end)

    def _check_part_of_number(self, text: str) -> None:
        """Set the error if no number begins with *text*."""
        end = _PART_OF_NUMBER.match(text).end()  # type: ignore[union-attr]  # matches nothing, too
        if end < len(text):
            self._set_error("the rest of a number", text[end], self._start + end)

    def _read_word(self, text: str, position: int) -> int:
        word = _WORDS[text[position]]
        letters = text[position : position + len(word)]
        if letters == word:
            start = self._offset + position
            self._events.append(Event(word, word, start, start + len(word)))
            self._expect_next()
            return position + len(word)
        if word.startswith(letters):
            self._carry = letters
            return position
        return self._refuse(text, position)

    def _close_scalar(self, text: str, end: int) -> None:
        assert self._kind is not None  # noqa: S101 (for type checkers)
        self._events.append(Event(self._kind, text, self._start, end))
        if self._kind == "key":
            self._expected = "a colon"
        else:
            self._expect_next()
        self._kind = None

    def _read_colon(self, _text: str, position: int) -> int:
        self._expected = "a value"
        return position + 1

    def _read_comma(self, _text: str, position: int) -> int:
        self._expected = "a key" if self._open[-1] == "}" else "a value"
        return position + 1

    def _open_object(self, text: str, position: int) -> int:
        self._expected = "a key or }"
        return self._open_container("object", "}", text, position)

    def _open_array(self, text: str, position: int) -> int:
        self._expected = "a value or ]"
        return self._open_container("array", "]", text, position)

    def _open_container(self, kind: Kind, closing: str, text: str, position: int) -> int:
        if len(self._open) == DEEPEST:
            return self._fail(f"at most {DEEPEST} containers in each other", text, position)
        start = self._offset + position
        self._events.append(Event(kind, text[position], start, start + 1))
        self._open.append(closing)
        return position + 1

    def _close_container(self, text: str, position: int) -> int:
        mark = text[position]
        if mark != self._open[-1]:
            return self._refuse(text, position)
        start = self._offset + position
        self._events.append(Event("end", mark, start, start + 1))
        self._open.pop()
        self._expect_next()
        return position + 1

    def _expect_next(self) -> None:
        if self._open:
            self._expected = "a comma or the end of the container"
        else:
            self._expected = "the end of the text"

    def _open_fence(self, text: str, position: int) -> int:
        fence = text[position : position + len(_LABELLED_FENCE)].lower()
        if self._open or self._has_open_fence:
            return self._refuse(text, position)
        if fence != _LABELLED_FENCE and _LABELLED_FENCE.startswith(fence):
            self._carry = text[position:]
            return position
        if not fence.startswith(_FENCE):
            return self._refuse(text, position)
        self._has_open_fence = True
        return position + len(_LABELLED_FENCE if fence == _LABELLED_FENCE else _FENCE)

    def _close_fence(self, text: str, position: int) -> int:
        fence = text[position : position + len(_FENCE)]
        if not self._has_open_fence or not _FENCE.startswith(fence):
            return self._refuse(text, position)
        if fence != _FENCE:
            self._carry = fence
            return position
        self._has_open_fence = False
        return position + len(_FENCE)

    def _fail(self, expected: str, text: str, position: int) -> int:
        """Set the error at *position* of *text*, and return it."""
        self._set_error(expected, text[position], self._offset + position)
        return position

    def _set_error(self, expected: str, found: str, offset: int) -> None:
        # One character of an answer does not tell what is in it.
        self.error = JSONTextError(f"expected {expected}, found {found!r}", offset)

    # Who reads the next character, by what may come and by the character.
    _value_readers: ClassVar[dict[str, _Reader]] = {
        **dict.fromkeys("-0123456789", _begin_number),
        **dict.fromkeys(_WORDS, _read_word),
        '"': _begin_string,
        "{": _open_object,
        "[": _open_array,
    }
    _readers: ClassVar[dict[_Expected, dict[str, _Reader]]] = {
        "a value": {**_value_readers, "`": _open_fence},
        "a value or ]": {**_value_readers, "]": _close_container},
        "a key or }": {'"': _begin_key, "}": _close_container},
        "a key": {'"': _begin_key},
        "a colon": {":": _read_colon},
        "a comma or the end of the container": {
            ",": _read_comma,
            "]": _close_container,
            "}": _close_container,
        },
        "the end of the text": {"`": _close_fence},
    }
