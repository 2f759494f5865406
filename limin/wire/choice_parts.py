"""The parts of one choice of a stream, joined as a whole answer has them."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from limin.values.choice import Delta
from limin.wire import lenient, schema, untyped
from limin.wire.finish_reasons import normalize_finish_reason
from limin.wire.fragments import read_fragments
from limin.wire.raw_json import has_value, kind_of, split_fields
from limin.wire.surrogates import TextJoiner, mend_json, mend_text
from limin.wire.tool_call_parts import JoinedCalls
from limin.wire.unknown_fields import MergedFields, select_unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.values.log_probs import LogProbs
    from limin.values.tools import ToolCallDelta

_NULL = len(b"null")

# The finish reason of a gateway whose provider broke off.
ERROR_REASON = "error"

# Fields of a delta with text.
_TEXTS = ("content", "refusal", "reasoning", "reasoning_content")

# Fields of a choice, of its delta and of its lists that are read, or not kept: vLLM sends
# the ids of each chunk's tokens.
_CHOICE = frozenset({*schema.ChunkChoice.__struct_fields__})
_DELTA = frozenset({*schema.MessageDelta.__struct_fields__, "role"})
_LISTS = frozenset({*schema.LogProbs.__struct_fields__})
_ABSENT = msgspec.Raw()


class ChoiceParts:
    """The parts of one choice, in the order in which they came.

    Attributes:
        usage: The usage in the choice; empty if there is none.
    """

    def __init__(self) -> None:
        """Start without a part."""
        self.usage = msgspec.Raw()
        self._content = TextJoiner()
        self._texts = {"content": self._content}  # Those that came.
        self._has_content = False  # Perhaps an empty one.
        self._parts: MergedFields | None = None  # Those of the content, if it has any.
        self._details: MergedFields | None = None
        self._calls: JoinedCalls | None = None
        # Fields that limin does not know: of the choice, of its deltas, of its lists.
        self._unknown = MergedFields(joins=False)
        self._unknown_of_deltas = MergedFields(joins=True)
        self._unknown_lists = MergedFields(joins=True)
        self._log_probs: list[schema.LogProbs] = []
        self._token_ids: list[msgspec.Raw] = []
        self._finish_reason: str | None = None

    @property
    def is_finished(self) -> bool:
        """Whether a finish reason came."""
        return self._finish_reason is not None

    @property
    def is_empty(self) -> bool:
        """Whether nothing of an answer came: no text, no reasoning, no tool call."""
        has_text = any(not joiner.is_empty for joiner in self._texts.values())
        return not (has_text or self._parts or self._details or self._calls)

    @property
    def n_halves(self) -> int:
        """Number of halves of surrogate pairs in the texts."""
        return sum(joiner.n_halves for joiner in self._texts.values())

    @property
    def is_repeated(self) -> bool:
        """Whether deltas repeat the text before them."""
        return any(joiner.is_repeated for joiner in self._texts.values())

    def has_all_of(self, text: str | None) -> bool:
        """Return whether *text* is all the text that came, and any came."""
        return bool(text) and self._content.is_all(text or "")

    def add(
        self,
        choice: schema.ChunkChoice,
        index: int,
        log_probs: LogProbs | None,
        *,
        has_error: bool = False,
    ) -> Delta | None:
        """Keep the parts in *choice*; return them as a delta, or None if it is empty.

        Args:
            choice: The parts.
            index: Index of the choice.
            log_probs: The log probabilities in it.
            has_error: Whether the chunk has an error, so its finish reason is no more.
        """
        text = reasoning = refusal = ""
        tool_calls: tuple[ToolCallDelta, ...] = ()
        finish_reason = None
        if choice.logprobs is not None:
            self._log_probs.append(choice.logprobs)
            self._token_ids.append(choice.token_ids)
        delta = choice.delta
        if delta is not None:
            if delta.content is not None:
                self._has_content = True
                text = self._content.add(delta.content)
            if delta.refusal is not None:
                refusal = self._add_text("refusal", delta.refusal)
            reasoning = self._add_reasoning(delta)
            if len(delta.tool_calls) > _NULL or len(delta.function_call) > _NULL:
                tool_calls = self._add_calls(delta)
        if len(choice.usage) > _NULL and has_value(choice.usage):
            self.usage = choice.usage
        if choice.finish_reason:
            finish_reason = self._finish(choice.finish_reason, has_error=has_error)
            ends = self._end()
            text, reasoning = text + ends[0], reasoning + ends[1]
            refusal, tool_calls = refusal + ends[2], tool_calls + ends[3]
        is_empty = not (text or reasoning or refusal or finish_reason or tool_calls)
        if is_empty and log_probs is None:
            return None
        return Delta(text, reasoning, refusal, index, finish_reason, log_probs, tool_calls)

    def body(self, index: int) -> dict[str, object]:
        """Return the choice as it stands in a whole answer."""
        message: dict[str, object] = {"role": "assistant"}
        for name in _TEXTS:
            if name in self._texts and (name != "content" or self._has_content):
                message[name] = self._texts[name].text()
        if self._parts is not None:
            parts = self._parts.encoded()["content"]
            message["content"] = msgspec.Raw(mend_json(bytes(parts))[0])
        if self._details is not None:
            message |= self._details.encoded()
        if self._calls is not None:
            message |= self._calls.as_sent()
        message |= self._unknown_of_deltas.encoded()
        log_probs = self._joined_log_probs() | self._unknown_lists.encoded()
        return {
            "index": index,
            "message": message,
            "logprobs": log_probs if self._log_probs else None,
            "finish_reason": _as_json(self._finish_reason),
            **({"usage": self.usage} if len(self.usage) else {}),
            **self._unknown.encoded(),
        }

    def keep_unknown(self, fields: dict[str, msgspec.Raw]) -> None:
        """Keep the fields that limin does not know, of one event and this choice."""
        self._unknown.add(select_unknown(fields, _CHOICE))
        for name, known, unknown in (
            ("delta", _DELTA, self._unknown_of_deltas),
            ("message", _DELTA, self._unknown_of_deltas),
            ("logprobs", _LISTS, self._unknown_lists),
        ):
            inner = fields.get(name, _ABSENT)
            if len(inner) > _NULL:
                unknown.add(select_unknown(split_fields(inner), known))

    def _finish(self, reason: str, *, has_error: bool) -> str | None:
        """Keep the finish *reason*; return it as OpenAI's, or None if it is an error's."""
        self._finish_reason = reason
        if reason == ERROR_REASON and (has_error or self.is_empty):
            return None
        return normalize_finish_reason(mend_text(reason))

    def _end(self) -> tuple[str, str, str, tuple[ToolCallDelta, ...]]:
        """Return the text, the reasoning, the refusal and the calls that were held back."""
        ends = {name: joiner.end() for name, joiner in self._texts.items()}
        reasoning = ends.get("reasoning") or ends.get("reasoning_content", "")
        calls = () if self._calls is None else self._calls.end()
        return ends["content"], reasoning, ends.get("refusal", ""), calls

    def _add_parts(self, delta: schema.MessageDelta) -> str:
        """Keep the content of *delta* in parts, and return the reasoning in them."""
        if self._parts is None:
            self._parts = MergedFields(joins=True)
            text = mend_text(delta.content or "")
            before = self._content.text().removesuffix(text)
            self._parts.add({"content": _as_part(before)})
        if isinstance(delta, lenient.PartsDelta):
            self._parts.add({"content": delta.parts})
            return mend_text(delta.thinking or "")
        self._parts.add({"content": _as_part(delta.content)})
        return ""

    def _add_text(self, name: str, piece: str) -> str:
        joiner = self._texts.get(name)
        if joiner is None:
            joiner = self._texts[name] = TextJoiner()
        return joiner.add(piece)

    def _add_reasoning(self, delta: schema.MessageDelta) -> str:
        """Keep the reasoning in *delta*, under whatever name, and return it."""
        reasoning = ""
        if delta.reasoning is not None:
            reasoning = self._add_text("reasoning", delta.reasoning)
        if delta.reasoning_content is not None:
            text = self._add_text("reasoning_content", delta.reasoning_content)
            reasoning = reasoning or text
        if self._parts is not None or type(delta) is lenient.PartsDelta:
            reasoning = reasoning or self._add_parts(delta)
        if len(delta.reasoning_details) > _NULL and has_value(delta.reasoning_details):
            text = self._add_details(delta.reasoning_details)
            reasoning = reasoning or mend_text(text)
        return reasoning

    def _add_details(self, details: msgspec.Raw) -> str:
        """Keep OpenRouter's *details* of the reasoning, and return their text."""
        if kind_of(details) != b"[":
            details = msgspec.Raw(b"[%b]" % bytes(details))
        self._details = self._details or MergedFields(joins=True)
        self._details.add({"reasoning_details": details})
        return lenient.join_reasoning(details) or ""

    def _add_calls(self, delta: schema.MessageDelta) -> tuple[ToolCallDelta, ...]:
        """Keep the parts of tool calls in *delta*, and return them."""
        joined = self._calls or JoinedCalls()
        parts: tuple[ToolCallDelta, ...] = ()
        if len(delta.tool_calls) > _NULL:
            parts = joined.add(read_fragments(delta.tool_calls))
        older: tuple[ToolCallDelta, ...] = ()
        if len(delta.function_call) > _NULL:
            older = joined.add_function_call(delta.function_call)
        if parts or older:
            self._calls = joined
        # Some servers send the same call under both names.
        return parts or older

    def _joined_log_probs(self) -> dict[str, msgspec.Raw]:
        lists = {
            name: _join_lists(map(attrgetter(name), self._log_probs))
            for name in schema.LogProbs.__struct_fields__
        }
        lists["token_ids"] = lists["token_ids"] or _join_lists(self._token_ids)
        return {name: joined for name, joined in lists.items() if joined is not None}


def _as_part(text: str | None) -> msgspec.Raw:
    """Return a list with *text* as a part of the content; an empty one for no text."""
    return untyped.encode([{"type": "text", "text": text}] if text else [])


def _as_json(text: str | None) -> msgspec.Raw | str | None:
    """Return *text* so that JSON can hold it: half of a surrogate pair is escaped."""
    return untyped.encode(text) if text and not text.isascii() else text


def _join_lists(values: Iterable[msgspec.Raw]) -> msgspec.Raw | None:
    """Return the elements of all *values* in one list; a value may be one element."""
    parts = [bytes(value).strip() for value in filter(len, values) if has_value(value)]
    elements = [part[1:-1].strip() if part[:1] == b"[" else part for part in parts]
    joined = b",".join(filter(None, elements))
    return msgspec.Raw(b"[%b]" % joined) if joined else None
