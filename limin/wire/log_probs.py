"""The token lists of an answer, to positions, whatever shape they came in.

The standard shape takes the fast way. The others are brought to it, and each
mending is noted; what is not known stays None, and nothing is made up.
"""

from __future__ import annotations

import math
import re
from itertools import zip_longest
from typing import TYPE_CHECKING

import msgspec

from limin.values.log_probs import Entry, Position
from limin.values.warnings import WarningCode
from limin.wire import schema, untyped
from limin.wire.notes import Notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from limin.values.log_probs import Loaded

_BYTE = 0xFF

# OpenAI documents -9999.0 for what is too unlikely, vLLM writes it for minus
# infinity, llama.cpp and SGLang the lowest 32-bit float. No real logarithm of a
# probability comes near.
_NO_CHANCE = -9999.0

# vLLM's option return_tokens_as_token_ids.
_TOKEN_ID = re.compile(r"token_id:(\d{1,18})")

# No vocabulary is larger; Python refuses to read numbers of thousands of digits.
_LONGEST_ID = 18

_REPLACEMENT = "\ufffd"


def read_positions(
    tokens: bytes | msgspec.Raw, path: str, *, unasked: bool = False
) -> Loaded:
    """The positions of *tokens*, a JSON list, and what was odd about them.

    Args:
        tokens: `choices[].logprobs.content`, as it came.
        path: Its JSON path.
        unasked: Leave out the alternatives, since none were asked for. llama.cpp
            sends some all the same; they stay in the raw body.
    """
    notes = Notes()
    try:
        positions: Sequence[Position] = schema.positions_decoder.decode(tokens)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        positions = _mended(bytes(tokens), path, notes)
    else:
        # llama.cpp's post_sampling_probs has fields of its own, which the
        # decoder skips.
        if any(position.logprob is None for position in positions):
            positions = _mended(bytes(tokens), path, notes)
    for place, position in enumerate(positions):
        if unasked or position.top_logprobs is None:
            position.top_logprobs = []
        _correct(position, f"{path}[{place}]", notes)
    return positions, notes.warnings()


def read_legacy_positions(
    parts: tuple[msgspec.Raw, msgspec.Raw, msgspec.Raw], path: str, *, unasked: bool = False
) -> Loaded:
    """The positions of a `logprobs` object in the shape of OpenAI's old API.

    Source: Together, llama-cpp-python.

    Args:
        parts: `tokens`, `token_logprobs`, and `top_logprobs`, whose elements are
            objects from text to number.
        path: JSON path of the object.
        unasked: Leave out the alternatives, since none were asked for.
    """
    notes = Notes()
    problem = "log probabilities in the shape of the completions API"
    notes.add(WarningCode.LEGACY_LOG_PROBS, path, problem)
    tokens, numbers, tops = (untyped.as_list(_parsed(part)) or [] for part in parts)
    positions = [
        Position(
            untyped.as_text(token) or "",
            untyped.as_number(number),
            top_logprobs=[
                Entry(text, untyped.as_number(value))
                for text, value in (untyped.as_object(top) or {}).items()
            ],
        )
        for token, number, top in zip_longest(tokens, numbers, tops)
    ]
    for place, position in enumerate(positions):
        if unasked:
            position.top_logprobs = []
        _correct(position, f"{path}.token_logprobs[{place}]", notes)
    return positions, notes.warnings()


def read_prompt_positions(found: msgspec.Raw) -> list[Position | None]:
    """The positions of vLLM's `prompt_logprobs`.

    Each is None, as the first one is, or an object from token ids to entries, of
    which the first is the prompt's own token.
    """
    notes = Notes()
    positions: list[Position | None] = []
    for listed in untyped.as_list(_parsed(found)) or []:
        entries = list(_prompt_entries(untyped.as_object(listed) or {}))
        if not entries:
            positions.append(None)
            continue
        own = entries[0]
        position = Position(own.token, own.logprob, own.bytes, own.id, entries)
        _correct(position, "$.prompt_logprobs", notes)
        positions.append(position)
    return positions


def _prompt_entries(listed: dict[str, object]) -> Iterator[Entry]:
    for name, value in listed.items():
        fields = untyped.as_object(value) or {}
        token = untyped.as_text(fields.get("decoded_token")) or ""
        known = name.isdecimal() and len(name) <= _LONGEST_ID
        token_id = int(name) if known else None
        yield Entry(token, untyped.as_number(fields.get("logprob")), None, token_id)


def _parsed(found: bytes | msgspec.Raw) -> object:
    try:
        return untyped.parse(bytes(found))
    except ValueError:
        return None


def _mended(tokens: bytes, path: str, notes: Notes) -> list[Position]:
    parsed = _parsed(tokens)
    listed = untyped.as_list(parsed)
    if listed is None:
        problem = f"expected a list of tokens, found {untyped.kind(parsed)}"
        notes.add(WarningCode.BODY_MENDED, path, problem)
    positions: list[Position] = []
    for place, item in enumerate(listed or []):
        where, fields = f"{path}[{place}]", untyped.as_object(item)
        if fields is None:
            problem = f"expected an object, found {untyped.kind(item)}"
            notes.add(WarningCode.BODY_MENDED, where, problem)
            continue
        own = _entry(fields, where, notes)
        top = fields.get("top_logprobs", fields.get("top_probs"))
        listed_here = map(untyped.as_object, untyped.as_list(top) or [])
        entries = [_entry(one, where, notes) for one in listed_here if one is not None]
        positions.append(Position(own.token, own.logprob, own.bytes, own.id, entries))
    return positions


def _entry(fields: dict[str, object], path: str, notes: Notes) -> Entry:
    token, known, token_id = fields.get("token"), fields.get("bytes"), fields.get("id")
    if not isinstance(token, str):
        problem = f"expected the text of a token, found {untyped.kind(token)}"
        notes.add(WarningCode.BODY_MENDED, path, problem)
    values = _bytes(untyped.as_list(known))
    if known is not None and values is None:
        problem = "expected bytes from 0 to 255, found something else"
        notes.add(WarningCode.BODY_MENDED, path, problem)
    return Entry(
        untyped.as_text(token) or "",
        _log_prob(fields, path, notes),
        values,
        token_id if type(token_id) is int else None,
    )


def _log_prob(fields: dict[str, object], path: str, notes: Notes) -> float | None:
    """The log probability, or the logarithm of `prob` in its place."""
    found = fields.get("logprob")
    number = untyped.as_number(found)
    if found is None and "prob" in fields:
        prob = untyped.as_number(fields["prob"])
        problem = "probabilities in the place of log probabilities"
        notes.add(WarningCode.PROBABILITIES_CONVERTED, path, problem)
        if prob is None or prob < 0.0:
            return None
        return math.log(prob) if prob > 0.0 else -math.inf
    if found is not None and (number is None or isinstance(found, str)):
        problem = f"expected a log probability, found {_kind_of_number(found)}"
        notes.add(WarningCode.BODY_MENDED, path, problem)
    return number


def _kind_of_number(found: object) -> str:
    return "not a number (NaN)" if isinstance(found, float) else untyped.kind(found)


def _bytes(values: list[object] | None) -> list[int] | None:
    """*values* if each is a byte; clients that send code points are not believed."""
    known = [value for value in values or [] if type(value) is int and 0 <= value <= _BYTE]
    return None if values is None or len(known) < len(values) else known


def _correct(position: Position, path: str, notes: Notes) -> None:
    """Make plain, in place, what servers write for what they cannot say."""
    _correct_entry(position, path, notes)
    for entry in position.top_logprobs or ():
        _correct_entry(entry, path, notes)


def _correct_entry(entry: Entry, path: str, notes: Notes) -> None:
    if entry.logprob is not None and entry.logprob <= _NO_CHANCE:
        if entry.logprob != -math.inf:
            problem = "a number that stands for minus infinity"
            notes.add(WarningCode.LOG_PROB_SENTINEL, path, problem)
        entry.logprob = -math.inf
    if entry.token.startswith("token_id:"):
        number = _TOKEN_ID.fullmatch(entry.token)
        if number is not None:
            problem = "tokens are told by their ids alone"
            notes.add(WarningCode.TOKEN_IDS_AS_TEXT, path, problem)
            entry.id, entry.bytes = int(number[1]), None
    if _REPLACEMENT in entry.token and _is_replaced(entry.bytes):
        problem = "U+FFFD in the place of bytes that the server did not tell"
        notes.add(WarningCode.REPLACEMENT_CHARACTER, path, problem)
        entry.bytes = None


def _is_replaced(known: list[int] | None) -> bool:
    """Whether *known* are not the token's own bytes, but hold those of U+FFFD."""
    return known is None or _REPLACEMENT.encode() in bytes(known)
