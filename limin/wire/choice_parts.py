"""The parts of one choice of a stream, joined as a whole answer has them."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from limin.values.completion import Delta
from limin.wire import lenient, schema, untyped
from limin.wire.finish_reasons import normalize_finish_reason
from limin.wire.raw_json import has_value
from limin.wire.surrogates import TextJoiner, mend_text
from limin.wire.tool_call_parts import join_function_call, join_tool_calls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.values.log_probs import LogProbs

_NULL = len(b"null")

# The finish reason of a gateway whose provider broke off.
ERROR_REASON = "error"

# Fields of a delta with text.
_TEXTS = ("content", "refusal", "reasoning", "reasoning_content")


class ChoiceParts:
    """The parts of one choice, in the order in which they came.

    Attributes:
        extras: Fields that limin does not know, of the chunk that finished the choice.
        usage: The usage in the choice; empty if there is none.
    """

    def __init__(self) -> None:
        """Start without a part."""
        self.extras: dict[str, msgspec.Raw] = {}
        self.usage = msgspec.Raw()
        self._content = TextJoiner()
        self._texts = {"content": self._content}  # Those that came.
        self._has_content = False  # Perhaps an empty one.
        self._thinking: list[str] = []
        self._details: list[msgspec.Raw] = []
        self._calls: list[schema.MessageDelta] = []  # Deltas with tool calls.
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
        return not (has_text or self._thinking or self._details or self._calls)

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
        tool_calls = b""
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
        finish_reason = None
        if choice.finish_reason:
            self._finish_reason = choice.finish_reason
            if choice.finish_reason != ERROR_REASON or not (has_error or self.is_empty):
                finish_reason = normalize_finish_reason(mend_text(choice.finish_reason))
            ends = {name: joiner.end() for name, joiner in self._texts.items()}
            text += ends["content"]
            refusal += ends.get("refusal", "")
            reasoning += ends.get("reasoning") or ends.get("reasoning_content", "")
        if len(choice.usage) > _NULL and has_value(choice.usage):
            self.usage = choice.usage
        is_empty = not (text or reasoning or refusal or finish_reason or tool_calls)
        if is_empty and log_probs is None:
            return None
        return Delta(text, reasoning, refusal, index, finish_reason, log_probs, tool_calls)

    def body(self, index: int) -> dict[str, object]:
        """Return the choice as it stands in a whole answer.

        Raises:
            ValueError: If a tool call is no JSON that can be read.
        """
        message: dict[str, object] = {"role": "assistant"}
        for name in _TEXTS:
            if name in self._texts and (name != "content" or self._has_content):
                message[name] = self._texts[name].text()
        if self._thinking:
            thinking = {"type": "thinking", "thinking": mend_text("".join(self._thinking))}
            text = {"type": "text", "text": message.get("content")}
            message["content"] = [thinking, text]
        message["reasoning_details"] = _join_lists(self._details)
        message["tool_calls"] = self._join_calls("tool_calls")
        message["function_call"] = self._join_calls("function_call")
        return {
            "index": index,
            "message": {k: value for k, value in message.items() if value is not None},
            "logprobs": self._joined_log_probs() if self._log_probs else None,
            "finish_reason": _as_json(self._finish_reason),
            **({"usage": self.usage} if len(self.usage) else {}),
            **self.extras,
        }

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
        if isinstance(delta, lenient.ThinkingDelta):
            self._thinking.append(delta.thinking)
            reasoning = reasoning or mend_text(delta.thinking)
        if len(delta.reasoning_details) > _NULL:
            self._details.append(delta.reasoning_details)
            text = lenient.join_reasoning(self._details[-1]) or ""
            reasoning = reasoning or mend_text(text)
        return reasoning

    def _add_calls(self, delta: schema.MessageDelta) -> bytes:
        """Keep the tool calls in *delta*, and return them as they came."""
        self._calls.append(delta)
        calls = filter(has_value, (delta.tool_calls, delta.function_call))
        return bytes(next(calls, b""))

    def _join_calls(self, name: str) -> msgspec.Raw | None:
        """Return the calls; as they came if they cannot be parsed."""
        fragments: list[msgspec.Raw] = list(map(attrgetter(name), self._calls))
        join = join_tool_calls if name == "tool_calls" else join_function_call
        try:
            return join(fragments)
        except (ValueError, RecursionError):
            return _join_lists(fragments)

    def _joined_log_probs(self) -> dict[str, msgspec.Raw]:
        lists = {
            name: _join_lists(map(attrgetter(name), self._log_probs))
            for name in schema.LogProbs.__struct_fields__
        }
        lists["token_ids"] = lists["token_ids"] or _join_lists(self._token_ids)
        return {name: joined for name, joined in lists.items() if joined is not None}


def _as_json(text: str | None) -> msgspec.Raw | str | None:
    """Return *text* so that JSON can hold it: half of a surrogate pair is escaped."""
    return untyped.encode(text) if text and not text.isascii() else text


def _join_lists(values: Iterable[msgspec.Raw]) -> msgspec.Raw | None:
    """Return the elements of all *values* in one list; a value may be one element."""
    parts = [bytes(value).strip() for value in filter(len, values) if has_value(value)]
    elements = [part[1:-1].strip() if part[:1] == b"[" else part for part in parts]
    joined = b",".join(filter(None, elements))
    return msgspec.Raw(b"[%b]" % joined) if joined else None
