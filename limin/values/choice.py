"""One of the answers of a completion, whole, or as the parts that a stream brings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs
import msgspec

from limin.values.messages import Message
from limin.values.tools import ToolCall, ToolCallDelta  # noqa: TC001 (the annotation of a Struct)

if TYPE_CHECKING:
    from collections.abc import Callable

    from limin.values.content import Part
    from limin.values.log_probs import LogProbs
    from limin.values.messages import Content

ReasoningSource: TypeAlias = Literal[
    "reasoning", "reasoning_content", "reasoning_details", "content"
]


@attrs.frozen(kw_only=True)
class Choice:
    """One answer of a completion; most requests ask for one.

    Source: `choices[]`.

    Attributes:
        message: Text of the answer; empty if there was none.
        finish_reason: Why the model stopped: `stop`, `length`,
            `content_filter`, ...; in OpenAI's word if the server has another for
            the same reason; None if not sent.
        raw_finish_reason: The same in the server's own word.
        index: Index of the choice, from 0.
        refusal: Text of the model's refusal; None if it did not refuse.
        reasoning: Text that the model wrote before its answer, its reasoning; None
            if not sent.
        reasoning_source: Field of the response that held the reasoning; `content` if
            it was a part of the content.
        log_probs: Log probabilities of the tokens; None if not sent. Without an answer
            they are those of the refusal, or of the reasoning.
        reasoning_log_probs: Log probabilities of the reasoning, if the server sent
            them apart (DeepSeek); else None.
        tool_calls: The calls of functions, whether they were sent as `tool_calls` or as
            the older `function_call`. Calls of other tools are in `to_message()` alone.
    """

    message: str = ""
    finish_reason: str | None = None
    raw_finish_reason: str | None = None
    index: int = 0
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_source: ReasoningSource | None = None
    log_probs: LogProbs | None = None
    reasoning_log_probs: LogProbs | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    _read_message: Callable[[Choice], Message] | None = attrs.field(
        default=None, eq=False, repr=False, alias="read_message"
    )

    def to_message(self) -> Message:
        """Return the answer as a message, to continue the conversation with.

        It has all that a server may want back: text, refusal, the reasoning under the
        field that it came in, the calls, and fields that limin does not know. A call
        without an id has the one in `tool_calls`. What only answers have stays out:
        `annotations`, `audio`, and fields that are null.
        """
        if self._read_message is not None:
            return self._read_message(self)
        extra: dict[str, object] = {"refusal": self.refusal} if self.refusal else {}
        content: Content = self.message or (None if self.tool_calls else "")
        if self.reasoning and self.reasoning_source == "content":
            content = _parts_of(self.reasoning, self.message)
        elif self.reasoning and self.reasoning_source == "reasoning_details":
            part = {"type": "reasoning.text", "text": self.reasoning}
            extra["reasoning_details"] = [part]
        elif self.reasoning:
            extra[self.reasoning_source or "reasoning"] = self.reasoning
        return Message(
            "assistant", content, tool_calls=self.tool_calls, extra=extra or None
        )


class Delta(msgspec.Struct, frozen=True, gc=False):
    """The part of one choice that one event of a stream adds.

    Text and log probabilities need not come together: a server may hold back
    text whose tokens it has already sent.

    Source: `choices[].delta` of a chunk.

    Attributes:
        text: Next part of the answer; often empty.
        reasoning: Next part of the reasoning.
        refusal: Next part of the refusal.
        choice: Index of the choice, from 0.
        finish_reason: Why the model stopped, in OpenAI's word if there is one;
            None until it did.
        log_probs: Log probabilities of the event's tokens; None if not sent.
        tool_calls: Next parts of tool calls; empty if there are none.
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    choice: int = 0
    finish_reason: str | None = None
    log_probs: LogProbs | None = None
    tool_calls: tuple[ToolCallDelta, ...] = ()

    @property
    def has_tokens(self) -> bool:
        """Whether the event brings tokens, and not only a role or a finish reason."""
        tokens = self.text or self.reasoning or self.refusal or self.tool_calls
        return bool(tokens) or self.log_probs is not None


def _parts_of(reasoning: str, text: str) -> tuple[Part, ...]:
    """Return the parts of Mistral's content."""
    inner = {"type": "text", "text": reasoning}
    thinking: Part = {"type": "thinking", "thinking": [inner]}
    return (thinking, text) if text else (thinking,)
