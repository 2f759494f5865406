"""The parts of one choice of a stream, joined as a whole answer has them."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from limin.values.completion import Delta
from limin.wire import lenient, schema, untyped
from limin.wire.response import has_value, normalize_finish_reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.values.log_probs import LogProbs

_NULL = len(b"null")

# The finish reason of a gateway whose provider broke off.
ERROR_REASON = "error"

# Of a pair of surrogates the high one comes first.
_FIRST_SURROGATE, _LAST_HIGH_SURROGATE = "\ud800", "\udbff"


class ChoiceParts:
    """The parts of one choice, in the order in which they came.

    Attributes:
        extras: Fields that limin does not know, of the chunk that finished the choice.
    """

    def __init__(self) -> None:
        """Start without a part."""
        self.extras: dict[str, msgspec.Raw] = {}
        self._deltas: list[schema.MessageDelta] = []
        self._thinking: list[str] = []
        self._details: list[msgspec.Raw] = []
        self._calls: list[schema.MessageDelta] = []  # Deltas with tool calls.
        self._log_probs: list[schema.LogProbs] = []
        self._finish_reason: str | None = None
        self._high_surrogate = ""

    @property
    def is_finished(self) -> bool:
        """Whether a finish reason came."""
        return self._finish_reason is not None

    def add(
        self, choice: schema.ChunkChoice, index: int, log_probs: LogProbs | None
    ) -> Delta | None:
        """Keep the parts in *choice*; return them as a delta, or None if it is empty."""
        finish_reason = None
        text = reasoning = refusal = ""
        tool_calls = b""
        if choice.finish_reason:
            finish_reason = self._finish(choice.finish_reason)
        if choice.logprobs is not None:
            self._log_probs.append(choice.logprobs)
        delta = choice.delta
        if delta is not None:
            self._deltas.append(delta)
            if delta.content:
                text = delta.content
                if self._high_surrogate or text[-1] >= _FIRST_SURROGATE:
                    text = self._join_surrogates(text)
            refusal = delta.refusal or ""
            reasoning = delta.reasoning or delta.reasoning_content or ""
            if isinstance(delta, lenient.ThinkingDelta):
                self._thinking.append(delta.thinking)
                reasoning = reasoning or delta.thinking
            if len(delta.reasoning_details) > _NULL:
                self._details.append(delta.reasoning_details)
                reasoning = reasoning or lenient.join_reasoning(self._details[-1]) or ""
            if len(delta.tool_calls) > _NULL or len(delta.function_call) > _NULL:
                tool_calls = self._add_calls(delta)
        is_empty = not (text or reasoning or refusal or finish_reason or tool_calls)
        if is_empty and log_probs is None:
            return None
        return Delta(text, reasoning, refusal, index, finish_reason, log_probs, tool_calls)

    def body(self, index: int) -> dict[str, object]:
        """Return the choice as it stands in a whole answer."""
        message: dict[str, object] = {"role": "assistant"}
        for name in ("content", "refusal", "reasoning", "reasoning_content"):
            message[name] = _join_texts(map(attrgetter(name), self._deltas))
        if self._thinking:
            thinking = {"type": "thinking", "thinking": _join_texts(self._thinking)}
            text = {"type": "text", "text": message["content"]}
            message["content"] = [thinking, text]
        message["reasoning_details"] = _join_lists(self._details)
        for name in ("tool_calls", "function_call"):
            message[name] = _join_lists(map(attrgetter(name), self._calls))
        log_probs = {
            name: _join_lists(map(attrgetter(name), self._log_probs))
            for name in schema.LogProbs.__struct_fields__
        }
        return {
            "index": index,
            "message": {k: value for k, value in message.items() if value is not None},
            "logprobs": log_probs if self._log_probs else None,
            "finish_reason": self._finish_reason,
            **self.extras,
        }

    def _finish(self, reason: str) -> str | None:
        """Keep the finish *reason*, and return it as a delta has it."""
        self._finish_reason = reason
        return None if reason == ERROR_REASON else normalize_finish_reason(reason)

    def _add_calls(self, delta: schema.MessageDelta) -> bytes:
        """Keep the tool calls in *delta*, and return them as they came."""
        self._calls.append(delta)
        calls = filter(has_value, (delta.tool_calls, delta.function_call))
        return bytes(next(calls, b""))

    def _join_surrogates(self, text: str) -> str:
        """Prefix *text* with a surrogate that was held back, and hold back one at its end.

        JSON writes some characters as two surrogates, and a server may cut between them.
        """
        text, self._high_surrogate = self._high_surrogate + text, ""
        if _FIRST_SURROGATE <= text[-1] <= _LAST_HIGH_SURROGATE:
            text, self._high_surrogate = text[:-1], text[-1]
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _join_texts(texts: Iterable[str | None]) -> msgspec.Raw | None:
    """Return *texts*, joined, as JSON; None if there are none."""
    parts = [text for text in texts if text is not None]
    if not parts:
        return None
    text = "".join(parts)
    try:
        return msgspec.Raw(msgspec.json.encode(text))
    except UnicodeEncodeError:
        return untyped.encode(text)


def _join_lists(values: Iterable[msgspec.Raw]) -> msgspec.Raw | None:
    """Return the elements of all *values* in one list; a value may be one element."""
    parts = [bytes(value).strip() for value in filter(len, values) if has_value(value)]
    elements = [part[1:-1].strip() if part[:1] == b"[" else part for part in parts]
    joined = b",".join(filter(None, elements))
    return msgspec.Raw(b"[%b]" % joined) if joined else None
