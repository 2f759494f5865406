"""Which tokens spell which scalar of a JSON answer."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import attrs

from limin.errors import JSONTextError
from limin.json_text.answer import SPACE
from limin.json_text.scanner import Event, JSONScanner
from limin.json_text.tree import TreeBuilder, walk_scalars
from limin.values.fields import FieldLogProbs
from limin.values.labels.probs import field_probs
from limin.values.log_probs import joint_log_prob, positions_of, utf8_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from limin.schemas.choices import Scalar
    from limin.schemas.json_schema import JsonSchema
    from limin.values.decisions import Decision
    from limin.values.log_probs import LogProbs, Position

# One long key above many short scalars makes paths of quadratic length. All paths
# together may have these characters, and that many for each character of the answer.
_MOST_PATH_CHARACTERS: Final = 1_000_000
_MOST_PER_CHARACTER: Final = 100

_SPACE_BYTES: Final = SPACE.encode()


class LocatedField(NamedTuple):
    """A scalar of an answer, where it stands in the text, and its log probabilities."""

    scalar: Event
    field: FieldLogProbs


def read_fields(
    text: str, log_probs: LogProbs, schema: JsonSchema[object] | None = None
) -> Mapping[str, FieldLogProbs] | None:
    """Return the tokens of each scalar in a JSON answer, by path; see `locate_fields`.

    Raises:
        JSONTextError: As `locate_fields` does.
    """
    located = locate_fields(text, log_probs, schema)
    return None if located is None else {field.path: field for _, field in located}


def locate_fields(
    text: str, log_probs: LogProbs, schema: JsonSchema[object] | None = None
) -> list[LocatedField] | None:
    """Return each scalar in a JSON answer with its tokens, in the order of *text*.

    White space and one code fence may stand around the JSON. Of an answer that was cut
    off, the scalars that are closed are there: a number at the end only if it is the
    whole answer. Of repeated keys the last counts, as in parsers.

    Tokens may stand before the text (reasoning) and behind it (control tokens, a stop
    text): if they spell it more than once, the last time counts.

    Args:
        text: The answer, `choice.message`.
        log_probs: The log probabilities of its tokens.
        schema: The type that was asked for; None if any text was. If the value is no
            object, the object around it is left out of the paths, and so is all else
            that the model wrote into it.

    Returns:
        None if the tokens do not spell the text, so nothing is known of them; the
        answer has the warning `text-mismatch` then.

    Raises:
        JSONTextError: If the text is not JSON, not even the beginning of it; or if all
            paths together would be a hundred times as long as the text and more than
            1,000,000 characters.
    """
    scalars = _find_scalars(text, is_wrapped=schema is not None and schema.is_wrapped)
    spelling = _Spelling.of(positions_of(log_probs))
    inner = text.strip(SPACE)
    start = spelling.find(inner)
    if start is None:
        return None
    # Offsets in `text` are characters, those in the tokens are UTF-8 bytes.
    before = len(text) - len(text.lstrip(SPACE))
    offsets = _ByteOffsets(text, before, start)
    fields: list[LocatedField] = []
    for path, scalar in scalars:
        begin, end = offsets.of(scalar.start), offsets.of(scalar.end)
        decide = None
        if schema is not None:
            is_text = scalar.kind == "string"
            place = spelling.place(begin, is_text=is_text)
            decide = partial(_decide, schema, path, log_probs, place)
        field = spelling.field(path, scalar.text, begin, end, decide)
        fields.append(LocatedField(scalar, field))
    return fields


class _Place(NamedTuple):
    """Where a scalar begins.

    Attributes:
        first: Position of its first token.
        offset: Bytes of that token before it.
        is_quoted: Whether its quotation mark is in a token before.
    """

    first: int
    offset: int
    is_quoted: bool


def _decide(
    schema: JsonSchema[object], path: str, log_probs: LogProbs, place: _Place
) -> Decision[Scalar] | None:
    """Return which of the values allowed at *path* stands there; None if any may."""
    values = schema.allowed_values(path)
    if values is None or not _are_distinct(values):
        return None
    if not log_probs[place.first].alternatives:
        return None
    return field_probs(
        log_probs,
        values,
        first=place.first,
        offset=place.offset,
        is_quoted=place.is_quoted,
    )


def _are_distinct(values: Sequence[Scalar]) -> bool:
    """Return whether *values* can be told apart; a schema of your own may have any."""
    are_floats = any(isinstance(value, float) for value in values)
    return not are_floats and len(set(values)) == len(values)


def _find_scalars(text: str, *, is_wrapped: bool) -> list[tuple[str, Event]]:
    """Return path and place of each scalar that is closed in *text*.

    Of a value that *is_wrapped* in an object, they are those of the value itself.
    """
    scanner, builder = JSONScanner(), TreeBuilder(lambda event: event)
    builder.add(scanner.feed(text))
    builder.add(scanner.finish())
    if scanner.error is not None:
        raise scanner.error
    most = max(_MOST_PATH_CHARACTERS, _MOST_PER_CHARACTER * len(text))
    tree = builder.value
    if is_wrapped and isinstance(tree, dict):
        tree = cast("dict[str, object]", tree).get("value")
    scalars: list[tuple[str, Event]] = []
    for path, scalar in walk_scalars(tree):
        if not isinstance(scalar, Event):
            break  # Nothing is closed yet.
        most -= len(path)
        if most < 0:
            problem = "expected paths of fewer characters in all"
            raise JSONTextError(problem, scalar.start)
        scalars.append((path, scalar))
    return scalars


class _ByteOffsets:
    """Turns offsets in a text into offsets of its bytes, for offsets that only grow."""

    def __init__(self, text: str, character: int, byte: int) -> None:
        """Let *character* of *text* be at *byte*."""
        self._text = text
        self._is_ascii = text.isascii()
        self._character, self._byte = character, byte

    def of(self, character: int) -> int:
        """Return the offset of *character*, which must not be before the last one."""
        step = character - self._character
        if not self._is_ascii:
            part = self._text[self._character : character]
            step = len(part.encode("utf-8", "replace"))
        self._character = character
        self._byte += step
        return self._byte


@attrs.frozen
class _Spelling:
    """The bytes that the tokens of an answer join to.

    A token without text belongs to the next one that has some: llama.cpp moves text
    that it held back there, and servers write a character there that was split.

    Attributes:
        joined: The bytes of all tokens.
        ends: Where each token with text ends.
        firsts: Its position, or that of the first token without text before it.
        lasts: Its position.
        log_probs: The joint log probability of these tokens.
    """

    joined: bytes
    ends: Sequence[int]
    firsts: Sequence[int]
    lasts: Sequence[int]
    log_probs: Sequence[float | None]

    @classmethod
    def of(cls, positions: Sequence[Position]) -> _Spelling:
        """Join the tokens at *positions*."""
        tokens = list(map(utf8_bytes, positions))
        lasts = [index for index, token in enumerate(tokens) if token]
        firsts = [0, *(last + 1 for last in lasts[:-1])]
        return cls(
            joined=b"".join(tokens),
            ends=list(accumulate(len(tokens[last]) for last in lasts)),
            firsts=firsts,
            lasts=lasts,
            log_probs=[
                positions[last].logprob
                if first == last
                else joint_log_prob([p.logprob for p in positions[first : last + 1]])
                for first, last in zip(firsts, lasts, strict=False)
            ],
        )

    def find(self, text: str) -> int | None:
        """Return where the tokens spell *text*, the last time; None if they do not.

        Where an answer is cut off inside a character, its text may end in U+FFFD.
        """
        for candidate in (text, text.rstrip("\ufffd")):
            # `rfind` is quadratic in the worst case, `find` is not.
            reversed_text = candidate.encode("utf-8", "replace")[::-1]
            from_end = self.joined[::-1].find(reversed_text)
            if from_end >= 0:
                return len(self.joined) - from_end - len(reversed_text)
        return None

    def place(self, start: int, *, is_text: bool) -> _Place:
        """Return where the scalar that begins at a byte stands in its first token."""
        first = bisect_right(self.ends, start)
        offset = start - (self.ends[first - 1] if first else 0)
        return _Place(self.lasts[first], offset, is_text and not offset)

    def field(
        self,
        path: str,
        text: str,
        start: int,
        end: int,
        decide: Callable[[], Decision[Scalar] | None] | None,
    ) -> FieldLogProbs:
        """Return the scalar between two bytes."""
        # An empty string takes the token of its closing quotation mark.
        first = bisect_right(self.ends, start)
        last = first if start == end else bisect_left(self.ends, end)
        log_probs = self.log_probs[first : last + 1]
        return FieldLogProbs(
            path=path,
            text=text,
            first=self.firsts[first],
            last=self.lasts[last],
            log_prob=log_probs[0] if len(log_probs) == 1 else joint_log_prob(log_probs),
            shares_tokens=self._covers_more(first, last, start, end),
            decide=decide,
        )

    def _covers_more(self, first: int, last: int, start: int, end: int) -> bool:
        """Return whether these tokens cover more than these bytes and white space.

        Only the white space beside them is read: a token may be as long as the answer.
        """
        joined, token_end = self.joined, self.ends[last]
        token_start = self.ends[first - 1] if first else 0
        while start > token_start and joined[start - 1] in _SPACE_BYTES:
            start -= 1
        while end < token_end and joined[end] in _SPACE_BYTES:
            end += 1
        return start > token_start or end < token_end
