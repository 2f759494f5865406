"""What comes back: a completion, its choices and its usage, or deltas of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import attrs
import msgspec

from limin.values.conversation import Message
from limin.values.display import NotebookDisplayed, rendering

if TYPE_CHECKING:
    from limin.values.conversation import Conversation
    from limin.values.display import Palette
    from limin.values.log_probs import LogProbs, PromptLogProbs
    from limin.values.timing import Timing
    from limin.values.tokens import TokenLogProb
    from limin.values.warnings import ResponseWarning

ReasoningSource: TypeAlias = Literal[
    "reasoning", "reasoning_content", "reasoning_details", "content"
]


@attrs.frozen(kw_only=True)
class Usage:
    """Tokens that the server counted. None means that it did not say.

    Source: `usage`, `usage.prompt_tokens_details`,
    `usage.completion_tokens_details`.

    Attributes:
        prompt_tokens: Tokens of what was asked.
        completion_tokens: Tokens of the answer, reasoning included.
        total_tokens: Both, as the server adds them.
        cached_tokens: Tokens of the prompt that were read from a cache.
        reasoning_tokens: Tokens of the answer that are reasoning.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


@attrs.frozen(kw_only=True)
class Choice:
    """One of the answers to a question; most requests ask for one.

    Source: `choices[]`.

    Attributes:
        message: Text of the answer; empty if there was none.
        finish_reason: Why the model stopped: `stop`, `length`,
            `content_filter`, ...; where a server says the same in another word,
            in OpenAI's; None if it did not say.
        raw_finish_reason: The same in the server's own word.
        index: Place among the choices, from 0.
        refusal: What the model said instead of an answer.
        reasoning: What the model thought before its answer.
        reasoning_source: The field that it came in; `content` if it was a part
            of the content.
        log_probs: The tokens' log probabilities; None if none came.
    """

    message: str = ""
    finish_reason: str | None = None
    raw_finish_reason: str | None = None
    index: int = 0
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_source: ReasoningSource | None = None
    log_probs: LogProbs | None = None


class Delta(msgspec.Struct, frozen=True, gc=False):
    """What one event of a stream adds to one choice.

    Text and log probabilities need not come together: a server may hold back
    text whose tokens it has told already.

    Source: `choices[].delta` of a chunk.

    Attributes:
        text: What is added to the answer; often empty.
        reasoning: What is added to the model's thoughts.
        refusal: What is added to what the model says instead of an answer.
        choice: Index of the choice, from 0.
        finish_reason: Why the model stopped, in OpenAI's word if there is one;
            None until it did.
        log_probs: Those of the tokens that the event tells of; None if none came.
        tool_calls: Fragments of calls of tools as they came, JSON that limin does not
            read; empty if none did.
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    choice: int = 0
    finish_reason: str | None = None
    log_probs: LogProbs | None = None
    tool_calls: bytes = b""

    @property
    def has_tokens(self) -> bool:
        """Whether the event tells of tokens, and not of a role or an end alone."""
        told = self.text or self.reasoning or self.refusal or self.tool_calls
        return bool(told) or self.log_probs is not None


@attrs.frozen(kw_only=True)
class TextCompletion(NotebookDisplayed):
    """A model's answer, with all that is known about it.

    What the server did not send is None, never zero. `message`,
    `finish_reason`, `refusal`, `reasoning` and the log probabilities are those
    of the first choice.

    Attributes:
        conversation: What was asked, as it was when it was sent.
        model: The model, as asked for.
        choices: The answers, at least one; more if `extra_body` asked for `n`.
        timing: When, and how long.
        served_model: The model, as the server names it.
        usage: Tokens, as the server counted them.
        id: The server's name for the completion.
        request_id: The server's name for the exchange (`x-request-id`).
        body_warnings: What was odd about the body, but for its log probabilities.
        raw_bytes: The body of the answer as it came; of a streamed one the body
            that it would have come in, put together of the chunks. Fields that limin
            does not know are in it if the first chunk, the last one, or one that
            finishes a choice has them. Two completions may be equal whose bytes are
            not.
        prompt_log_probs: Those of the prompt's tokens, which vLLM gives if
            `extra_body` asks for `prompt_logprobs`; None if none came.
    """

    conversation: Conversation
    model: str
    choices: tuple[Choice, ...]
    timing: Timing
    served_model: str | None = None
    usage: Usage | None = None
    id: str | None = None
    request_id: str | None = None
    body_warnings: tuple[ResponseWarning, ...] = attrs.field(default=(), repr=False)
    raw_bytes: bytes = attrs.field(default=b"", repr=False, eq=False)
    prompt_log_probs: PromptLogProbs | None = attrs.field(default=None, repr=False)

    @property
    def warnings(self) -> tuple[ResponseWarning, ...]:
        """What was odd about the answer; decodes the log probabilities, if any came."""
        found = [
            choice.log_probs.warnings
            for choice in self.choices
            if choice.log_probs is not None
        ]
        return sum(found, self.body_warnings)

    @property
    def message(self) -> str:
        """Text of the answer; empty if there was none."""
        return self.choices[0].message

    @property
    def content(self) -> str:
        """The same as `message`."""
        return self.message

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped, in OpenAI's word if there is one; None if not said."""
        return self.choices[0].finish_reason

    @property
    def refusal(self) -> str | None:
        """What the model said instead of an answer; None if it answered."""
        return self.choices[0].refusal

    @property
    def reasoning(self) -> str | None:
        """What the model thought before its answer; None if it did not tell."""
        return self.choices[0].reasoning

    @property
    def log_probs(self) -> LogProbs | None:
        """The tokens' log probabilities, compact; None if none came."""
        return self.choices[0].log_probs

    @property
    def token_log_probs(self) -> list[TokenLogProb] | None:
        """The tokens that were sampled, with their own log probabilities.

        Shape: one for each token of the answer. None if none came.
        """
        log_probs = self.log_probs
        return None if log_probs is None else log_probs.sampled

    @property
    def full_token_log_probs(self) -> list[list[TokenLogProb]] | None:
        """For each token of the answer the server's most likely tokens.

        Shape: one list for each token, `top_log_probs` long or shorter, most
        likely first. The sampled token need not be among them. None if no log
        probabilities came.
        """
        log_probs = self.log_probs
        return None if log_probs is None else log_probs.alternatives

    @property
    def start_time(self) -> float:
        """When the request left, in Unix seconds."""
        return self.timing.start_time

    @property
    def end_time(self) -> float:
        """When the answer was whole, in Unix seconds."""
        return self.timing.end_time

    @property
    def duration(self) -> float:
        """How long the completion took, in seconds of a monotonic clock."""
        return self.timing.duration

    @property
    def raw(self) -> object:
        """The body of the answer, parsed anew each time it is asked for.

        Python's own parser takes what servers send and JSON forbids: NaN.
        """
        return cast("object", json.loads(self.raw_bytes.decode("utf-8-sig", "replace")))

    def to_message(self) -> Message:
        """The answer as a message, to go on with the conversation."""
        return Message("assistant", self.message)

    def to_pretty_string(self, *, width: int = 80, color: bool | None = True) -> str:
        """The answer for a terminal, with its reasoning, warnings, tokens and times.

        Coloured by probability if log probabilities came. Control characters are
        shown as symbols, never obeyed.

        Args:
            width: Columns at which the text wraps.
            color: Whether the string holds colours; None obeys `NO_COLOR` and
                `FORCE_COLOR`, and else asks whether stdout is a terminal.

        Raises:
            ConfigurationError: If *width* is below 1.
        """
        return rendering().to_string(self, width=width, color=color)

    def to_pretty_log_probs_string(
        self,
        show_probabilities: bool = False,  # noqa: FBT001, FBT002 (the name is a contract)
        *,
        color: bool | None = True,
        palette: Palette = "red-green",
        width: int | None = None,
    ) -> str:
        """The answer for a terminal, see `LogProbs.to_pretty_string`.

        A sentence that says so if no log probabilities came.
        """
        if self.log_probs is None:
            return "No token log probabilities available."
        return self.log_probs.to_pretty_string(
            show_probabilities, color=color, palette=palette, width=width
        )

    def to_html(self, *, palette: Palette = "red-green") -> str:
        """The completion as a page of its own: no script, nothing from elsewhere.

        Each token is tinted by its probability; on hover and on focus it shows the
        alternatives.

        Args:
            palette: Tints from improbable to certain. Those of `viridis` can be
                told apart by whoever does not tell red from green.

        Raises:
            ConfigurationError: If there is no such palette.
        """
        return rendering().html_page(self, palette=palette)
