"""The token lists of an answer, to positions, whatever their shape.

The standard shape is decoded at once. Others are brought to it, with a note for each
change. Values that are not known stay None; none is made up.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeGuard, cast

import msgspec

from limin.values.log_probs import LARGEST_NUMBER, Entry, Position
from limin.values.warnings import WarningCode
from limin.wire import schema, untyped
from limin.wire.notes import Notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from limin.values.log_probs import Loaded
    from limin.values.warnings import ResponseWarning

_BYTE = 0xFF

# OpenAI documents -9999.0 for tokens that are too unlikely; vLLM writes it for minus
# infinity, and llama.cpp and SGLang write the lowest 32-bit float. No real logarithm of
# a probability comes near.
_NO_CHANCE = -9999.0

# vLLM's option return_tokens_as_token_ids.
_TOKEN_ID = re.compile(r"token_id:(\d{1,18})")

# The names of a token's id: llama.cpp and vLLM, Fireworks.
_ID_NAMES = ("id", "token_id")
_OTHER_ID_NAMES = tuple(f'"{name}"'.encode() for name in _ID_NAMES[1:])

_LONGEST_ID = len(str(LARGEST_NUMBER))

_REPLACEMENT = "\ufffd"

_NONE = msgspec.Raw()
_IDS_ONLY = "the tokens have ids and no text"


def read_positions(
    tokens: bytes | msgspec.Raw,
    path: str,
    *,
    unasked: bool = False,
    is_constrained: bool = False,
    ids: msgspec.Raw = _NONE,
) -> Loaded:
    """Return the positions in *tokens*, a JSON list, and warnings about them.

    Args:
        tokens: `choices[].logprobs.content`, as it came.
        path: Its JSON path.
        unasked: Leave out the alternatives, since the request asked for none.
            llama.cpp sends some all the same; they stay in the raw body.
        is_constrained: Read numbers for minus infinity without a warning, since the
            answer was constrained; see `Diagnosis`.
        ids: A JSON list of the ids of the sampled tokens, beside the tokens; empty if
            the server sent none.
    """
    notes = Notes()
    try:
        positions: Sequence[Position] = schema.positions_decoder.decode(tokens)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        positions = _mend_positions(bytes(tokens), path, notes)
    else:
        # llama.cpp's post_sampling_probs has fields of its own, which the
        # decoder skips.
        has_other_ids = any(name in bytes(tokens) for name in _OTHER_ID_NAMES)
        if has_other_ids or any(position.logprob is None for position in positions):
            positions = _mend_positions(bytes(tokens), path, notes)
    for index, position in enumerate(positions):
        if unasked or position.top_logprobs is None:
            position.top_logprobs = []
        _normalize(position, f"{path}[{index}]", notes)
    _add_ids(positions, ids)
    return positions, _warnings(notes, is_constrained=is_constrained)


def read_legacy_positions(
    parts: tuple[msgspec.Raw, ...],
    path: str,
    *,
    unasked: bool = False,
    is_constrained: bool = False,
    ids: msgspec.Raw = _NONE,
) -> Loaded:
    """Return the positions in a `logprobs` object of OpenAI's old API, and warnings.

    Source: Together, llama-cpp-python, mlx-lm.

    Args:
        parts: `tokens`, `token_logprobs`, and `top_logprobs`, whose elements are
            objects from text to number. mlx-lm sends ids in the place of texts.
        path: JSON path of the object.
        unasked: Leave out the alternatives, since the request asked for none.
        is_constrained: See `read_positions`.
        ids: See `read_positions`.
    """
    notes = Notes()
    problem = "log probabilities in the shape of the completions API"
    notes.add(WarningCode.LEGACY_LOG_PROBS, path, problem)
    tokens, numbers, tops = (untyped.as_list(_parse(part)) or [] for part in parts)
    positions: list[Position] = []
    rows = zip_longest(tokens, numbers, tops)
    for index, (token, number, top) in enumerate(rows):
        inner, own_id = f"{path}.token_logprobs[{index}]", _as_id(token)
        if own_id is not None:
            notes.add(WarningCode.TOKEN_IDS_AS_TEXT, inner, _IDS_ONLY)
        position = Position(
            untyped.as_text(token) or "", untyped.as_number(number), None, own_id
        )
        are_ids = own_id is not None
        entries = [] if unasked else _mend_alternatives(top, inner, notes, are_ids=are_ids)
        position.top_logprobs = entries
        _normalize(position, inner, notes)
        positions.append(position)
    _add_ids(positions, ids)
    return positions, _warnings(notes, is_constrained=is_constrained)


def read_prompt_positions(raw: msgspec.Raw) -> list[Position | None]:
    """Return the positions in vLLM's `prompt_logprobs`.

    Each is None, as the first one is, or an object from token ids to entries. Its
    first entry is the prompt's own token.
    """
    notes = Notes()
    positions: list[Position | None] = []
    for value in untyped.as_list(_parse(raw)) or []:
        entries = list(_prompt_entries(untyped.as_object(value) or {}))
        if not entries:
            positions.append(None)
            continue
        own, rank = entries[0]
        alternatives = [entry for entry, _ in entries]
        position = Position(own.token, own.logprob, own.bytes, own.id, alternatives, rank)
        _normalize(position, "$.prompt_logprobs", notes)
        positions.append(position)
    return positions


def _prompt_entries(
    position: dict[str, object],
) -> Iterator[tuple[Entry, int | None]]:
    """Yield each entry, and its rank among all tokens."""
    for name, value in position.items():
        fields = untyped.as_object(value) or {}
        token = untyped.as_text(fields.get("decoded_token")) or ""
        is_id = name.isdecimal() and len(name) <= _LONGEST_ID
        token_id = int(name) if is_id else None
        log_prob = untyped.as_number(fields.get("logprob"))
        yield Entry(token, log_prob, None, token_id), _as_rank(fields.get("rank"))


def _parse(raw: bytes | msgspec.Raw) -> object:
    try:
        return untyped.parse(bytes(raw))
    except ValueError:
        return None


def _mend_positions(tokens: bytes, path: str, notes: Notes) -> list[Position]:
    parsed = _parse(tokens)
    elements = untyped.as_list(parsed)
    if elements is None:
        problem = f"expected a list of tokens, found {untyped.kind(parsed)}"
        notes.add(WarningCode.BODY_MENDED, path, problem)
    positions: list[Position] = []
    for index, element in enumerate(elements or []):
        inner, fields = f"{path}[{index}]", untyped.as_object(element)
        if fields is None:
            problem = f"expected an object, found {untyped.kind(element)}"
            notes.add(WarningCode.BODY_MENDED, inner, problem)
            continue
        own = _mend_entry(fields, inner, notes)
        top = fields.get("top_logprobs", fields.get("top_probs"))
        are_ids = _as_id(fields.get("token")) is not None
        entries = _mend_alternatives(top, inner, notes, are_ids=are_ids)
        rank = _as_rank(fields.get("rank"))
        positions.append(Position(own.token, own.logprob, own.bytes, own.id, entries, rank))
    return positions


def _mend_alternatives(
    top: object, path: str, notes: Notes, *, are_ids: bool
) -> list[Entry]:
    """Return the alternatives in *top*, a list of entries or an object from texts.

    Args:
        top: The list, or the object.
        path: JSON path of the position.
        notes: Where each change is noted.
        are_ids: Whether the object has ids in the place of texts.
    """
    fields = untyped.as_object(top)
    if fields is None:
        objects = map(untyped.as_object, untyped.as_list(top) or [])
        return [_mend_entry(entry, path, notes) for entry in objects if entry is not None]
    entries: list[Entry] = []
    for name, value in fields.items():
        is_id = are_ids and name.isdecimal() and len(name) <= _LONGEST_ID
        token_id = int(name) if is_id else None
        text = "" if is_id else name
        entries.append(Entry(text, untyped.as_number(value), None, token_id))
    return entries


def _mend_entry(fields: dict[str, object], path: str, notes: Notes) -> Entry:
    token, values = fields.get("token"), fields.get("bytes")
    named_ids = (fields.get(name) for name in _ID_NAMES)
    token_id = next(filter(_is_number, named_ids), None)
    own_id = _as_id(token)
    if own_id is not None:
        notes.add(WarningCode.TOKEN_IDS_AS_TEXT, path, _IDS_ONLY)
        token_id = own_id
    elif not isinstance(token, str):
        problem = f"expected the text of a token, found {untyped.kind(token)}"
        notes.add(WarningCode.BODY_MENDED, path, problem)
    own_bytes = _as_bytes(untyped.as_list(values))
    if values is not None and own_bytes is None:
        problem = "expected bytes from 0 to 255, found something else"
        notes.add(WarningCode.BODY_MENDED, path, problem)
    return Entry(
        untyped.as_text(token) or "",
        _mend_log_prob(fields, path, notes),
        own_bytes,
        token_id,
    )


def _as_id(token: object) -> int | None:
    """Return the id that stands in the place of a token's text; None if it is no id."""
    return token if _is_number(token) and token >= 0 else None


def _as_rank(value: object) -> int | None:
    return value if _is_number(value) and value > 0 else None


def _is_number(value: object) -> TypeGuard[int]:
    """Return whether *value* is an integer of the size of an id or a rank."""
    return type(value) is int and abs(value) <= LARGEST_NUMBER


def _add_ids(positions: Sequence[Position], ids: msgspec.Raw) -> None:
    """Give positions without an id theirs in *ids*, if there is one for each position."""
    values = untyped.as_list(_parse(ids)) if len(ids) else None
    if values is not None and len(values) == len(positions):
        for position, value in zip(positions, values, strict=True):
            position.id = _as_id(value) if position.id is None else position.id


def _warnings(notes: Notes, *, is_constrained: bool) -> tuple[ResponseWarning, ...]:
    warnings = notes.warnings()
    if not is_constrained:
        return warnings
    sentinel = WarningCode.LOG_PROB_SENTINEL
    return tuple(warning for warning in warnings if warning.code != sentinel)


def _mend_log_prob(fields: dict[str, object], path: str, notes: Notes) -> float | None:
    """Return the log probability, or the logarithm of `prob` if there is none."""
    value = fields.get("logprob")
    number = untyped.as_number(value)
    if value is None and "prob" in fields:
        prob = untyped.as_number(fields["prob"])
        problem = "probabilities instead of log probabilities"
        notes.add(WarningCode.PROBABILITIES_CONVERTED, path, problem)
        if prob is None or prob < 0.0:
            return None
        return math.log(prob) if prob > 0.0 else -math.inf
    if value is not None and (number is None or isinstance(value, str)):
        problem = f"expected a log probability, found {_kind_of_number(value)}"
        notes.add(WarningCode.BODY_MENDED, path, problem)
    return number


def _kind_of_number(value: object) -> str:
    return "not a number (NaN)" if isinstance(value, float) else untyped.kind(value)


def _as_bytes(values: list[object] | None) -> list[int] | None:
    """Return *values* if each is a byte; servers that send code points are not believed."""
    are_bytes = all(type(value) is int and 0 <= value <= _BYTE for value in values or [])
    return cast("list[int]", values) if values is not None and are_bytes else None


def _normalize(position: Position, path: str, notes: Notes) -> None:
    """Replace, in place, the values by which servers say that they know none."""
    _normalize_entry(position, path, notes)
    for entry in position.top_logprobs or ():
        _normalize_entry(entry, path, notes)


def _normalize_entry(entry: Entry, path: str, notes: Notes) -> None:
    if entry.logprob is not None and entry.logprob <= _NO_CHANCE:
        if entry.logprob != -math.inf:
            problem = "a number that stands for minus infinity"
            notes.add(WarningCode.LOG_PROB_SENTINEL, path, problem)
        entry.logprob = -math.inf
    if entry.token.startswith("token_id:"):
        number = _TOKEN_ID.fullmatch(entry.token)
        if number is not None:
            notes.add(WarningCode.TOKEN_IDS_AS_TEXT, path, _IDS_ONLY)
            entry.id = int(number[1])
            _drop_placeholder(entry)
    if _REPLACEMENT in entry.token and _is_replaced(entry.bytes):
        problem = "U+FFFD instead of bytes that the server did not send"
        notes.add(WarningCode.REPLACEMENT_CHARACTER, path, problem)
        entry.bytes = None


def _drop_placeholder(entry: Entry) -> None:
    """Keep the bytes of an entry, and their text, unless they are those of its id.

    vLLM sends the bytes of sampled tokens, and those of `token_id:5` for alternatives.
    """
    own_bytes = bytes(entry.bytes or ())
    if entry.token.encode().startswith(own_bytes):
        entry.bytes = None
        return
    with suppress(UnicodeDecodeError):
        entry.token = own_bytes.decode()


def _is_replaced(own_bytes: list[int] | None) -> bool:
    """Return whether the bytes are missing, or hold those of U+FFFD."""
    return own_bytes is None or _REPLACEMENT.encode() in bytes(own_bytes)
