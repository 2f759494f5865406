"""The answer of a model, with everything that is known about it."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Generic, cast, overload

import attrs

from limin.json_text.lenient import parse_leniently
from limin.values.completion_dict import completion_to_dict
from limin.values.display import NotebookDisplayed, rendering
from limin.values.safe_text import excerpt
from limin.values.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import TypeForm, TypeVar

    from limin.schemas.json_schema import JsonSchema
    from limin.values.choice import Choice
    from limin.values.conversation import Conversation
    from limin.values.display import Palette
    from limin.values.fields import FieldLogProbs
    from limin.values.log_probs import LogProbs, PromptLogProbs
    from limin.values.messages import Message
    from limin.values.timing import Timing
    from limin.values.tokens import TokenLogProb
    from limin.values.tools import ToolCall
    from limin.values.warnings import ResponseWarning

    # The type of `value`: that of `response_type`, or None without one.
    V_co = TypeVar("V_co", covariant=True, default=None)
    T = TypeVar("T")
else:
    from typing import TypeVar

    V_co = TypeVar("V_co", covariant=True)

# Characters of a model's name in a repr; servers send any text.
_LONGEST_WORD = 40
# A finish reason that looks like a word: a server could send the key, or the prompt.
_REASON = re.compile(r"[A-Za-z]{1,20}(?:_[A-Za-z]{1,20}){0,3}")


@attrs.frozen(kw_only=True, repr=False)
class TextCompletion(NotebookDisplayed, Generic[V_co]):
    """The answer of a model, with everything that is known about it.

    `str` is the message, so that `print` shows it. The repr is one short line without
    any text of the prompt or of the answer, because reprs end up in logs.

    A field that the server did not send is None, never zero. `message`,
    `finish_reason`, `refusal`, `reasoning`, `tool_calls` and the log
    probabilities are those of the first choice.

    Attributes:
        conversation: The conversation that was sent; a copy.
        model: Name of the model in the request.
        choices: The answers, at least one; more if `extra_body` asked for `n`.
        timing: When the request was sent, and how long the answer took.
        served_model: Name of the model in the response.
        usage: Token counts of the server.
        id: Id of the completion, as the server assigned it.
        request_id: Id of the request, as the server assigned it (`x-request-id`).
        endpoint: The base URL that answered, without its query, and without the secret
            path of a local server; None if a checkpoint does not tell.
        body_warnings: Warnings about the body, except those about log probabilities.
        raw_bytes: The body of the response, unchanged. For a stream, the body of the
            same answer if it had not been streamed, assembled from the chunks, with
            the fields that limin does not know of each chunk. Equal completions may
            have different bytes.
        prompt_log_probs: Log probabilities of the prompt's tokens, which vLLM sends if
            `extra_body` asks for `prompt_logprobs`; None if not sent.
        prefill: The message of the assistant at the end of the conversation, if the
            server continued it and repeated it before the answer, as llama.cpp does; it
            is no part of `message`. None if nothing was repeated.
        value: The answer as an instance of `response_type`; None without one, and if
            the model called a tool instead. Checkpoints keep the text only.
        earlier: The answers before this one, which did not fit `response_type` and were
            asked for again.
    """

    conversation: Conversation
    model: str
    choices: tuple[Choice, ...]
    timing: Timing
    served_model: str | None = None
    usage: Usage | None = None
    id: str | None = None
    request_id: str | None = None
    endpoint: str | None = None
    body_warnings: tuple[ResponseWarning, ...] = ()
    raw_bytes: bytes = attrs.field(default=b"", eq=False)
    prompt_log_probs: PromptLogProbs | None = None
    prefill: str | None = None
    value: V_co = attrs.field(default=cast("V_co", None))
    earlier: tuple[TextCompletion[object], ...] = ()
    _schema: JsonSchema[object] | None = attrs.field(
        default=None, alias="schema", eq=False, repr=False
    )

    def __str__(self) -> str:
        """Return the message, as the model wrote it."""
        return self.message

    def __repr__(self) -> str:
        """Return model, length, finish reason, tokens and seconds, on one line."""
        facts = [_count(len(self.message), "character")]
        if len(self.choices) > 1:
            facts.insert(0, _count(len(self.choices), "choice"))
        if self.tool_calls:
            facts.append(_count(len(self.tool_calls), "tool call"))
        if self.finish_reason is not None:
            is_word = _REASON.fullmatch(self.finish_reason)
            facts.append(self.finish_reason if is_word else "an odd finish reason")
        if self.usage is not None and self.usage.completion_tokens is not None:
            facts.append(_count(self.usage.completion_tokens, "token"))
        model = excerpt(self.model)[:_LONGEST_WORD]
        facts.append(f"{self.duration:.2f} s")
        return f"<limin.TextCompletion of {model}: {', '.join(facts)}>"

    @property
    def warnings(self) -> tuple[ResponseWarning, ...]:
        """Warnings about the response; reading them decodes the log probabilities."""
        log_prob_warnings = (
            choice.log_probs.warnings
            for choice in self.choices
            if choice.log_probs is not None
        )
        return (*self.body_warnings, *chain.from_iterable(log_prob_warnings))

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
        """Why the model stopped, in OpenAI's word if there is one; None if not sent."""
        return self.choices[0].finish_reason

    @property
    def refusal(self) -> str | None:
        """Text of the model's refusal; None if it did not refuse."""
        return self.choices[0].refusal

    @property
    def reasoning(self) -> str | None:
        """The model's reasoning before its answer; None if not sent."""
        return self.choices[0].reasoning

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls of functions; empty if there are none."""
        return self.choices[0].tool_calls

    @property
    def log_probs(self) -> LogProbs | None:
        """Log probabilities of the tokens, not decoded yet; None if not sent."""
        return self.choices[0].log_probs

    @property
    def token_log_probs(self) -> list[TokenLogProb] | None:
        """The sampled tokens with their log probabilities.

        Shape: one for each token of the answer. None if not sent.
        """
        log_probs = self.log_probs
        return None if log_probs is None else log_probs.sampled

    @property
    def full_token_log_probs(self) -> list[list[TokenLogProb]] | None:
        """The server's most likely tokens at each position of the answer.

        Shape: one list for each token, at most `top_log_probs` long, most likely
        first. The sampled token need not be among them. None if no log probabilities
        were sent.
        """
        log_probs = self.log_probs
        return None if log_probs is None else log_probs.alternatives

    @property
    def start_time(self) -> float:
        """When the first request was sent, in Unix seconds."""
        return self.timing.start_time

    @property
    def end_time(self) -> float:
        """When the answer was complete, in Unix seconds."""
        return self.timing.end_time

    @property
    def duration(self) -> float:
        """How long the completion took, in seconds of a monotonic clock."""
        return self.timing.duration

    @property
    def raw(self) -> object:
        """The body of the response as Python objects, parsed again at each access.

        What servers send and JSON forbids is accepted: NaN, control characters in text,
        bytes that are no UTF-8 (U+FFFD in their place). An integer of more than 300
        digits is a float.

        Raises:
            ValueError: If there is no body, or it is nested too deeply.
        """
        return parse_leniently(self.raw_bytes)

    def to_dict(self, *, conversation: bool = False) -> dict[str, object]:
        """Return the completion as plain JSON values, for a log or a table.

        Keys are `message`, `finish_reason`, `model`, `served_model`, `endpoint`, `id`,
        `request_id`, `choices`, `usage`, `timing` and `warnings`, under which stand the
        fields of the objects with these names. `json.dumps` takes it. Reading the
        warnings decodes the log probabilities, which are left out themselves, as are the
        times of single deltas.

        Args:
            conversation: Whether a key `conversation` holds the messages that were sent.
                By default no prompt is in the dictionary.
        """
        return completion_to_dict(self, conversation=conversation)

    @property
    def total_usage(self) -> Usage | None:
        """Token counts of this answer and of the `earlier` ones together.

        A count that one of them lacks is None. None if none is known.
        """
        answers = (*self.earlier, self)
        return Usage.sum(answer.usage for answer in answers)

    @property
    def fields(self) -> Mapping[str, FieldLogProbs] | None:
        """The log probabilities of each scalar in a JSON answer, by its path.

        Paths are those of `value`: `$.name`, `$["other name"]`, `$[0]`, and `$` for a
        value that is a scalar itself. They are in the order of the answer. None if no log
        probabilities were sent, or their tokens do not spell the answer.

        Raises:
            JSONTextError: If the answer is no JSON.
        """
        from limin.values.field_reader import read_fields  # noqa: PLC0415 (few read them)

        if self.log_probs is None:
            return None
        return read_fields(self.message, self.log_probs, self._schema)

    @overload
    def parse(self, response_type: JsonSchema[T]) -> T: ...

    @overload
    def parse(self, response_type: TypeForm[T]) -> T: ...

    def parse(self, response_type: object) -> object:
        """Return the answer as an instance of *response_type*, whatever was asked for.

        So a new type needs no new answer, and neither does one out of a checkpoint.

        Args:
            response_type: A type, or a `JsonSchema`.

        Raises:
            StructuredOutputError: If the answer does not fit.
            ConfigurationError: If the type has no JSON schema.
        """
        from limin.values.typed_answers import as_schema, parse_answer  # noqa: PLC0415 (loads schemas)

        return parse_answer(self, as_schema(response_type))

    def to_message(self) -> Message:
        """Return the first choice as a message, to continue the conversation with.

        Nothing that a server may want back is lost; see `Choice.to_message`.
        """
        return self.choices[0].to_message()

    def to_pretty_string(self, *, width: int = 80, color: bool | None = True) -> str:
        """Return the answer for a terminal: text, reasoning, warnings, usage and times.

        Tokens are colored by their probability if log probabilities were sent. Control
        characters are shown as symbols, so they have no effect.

        Args:
            width: Columns at which the text wraps.
            color: Whether the string holds colors; None follows `NO_COLOR` and
                `FORCE_COLOR`, and without them checks whether stdout is a terminal.

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
        """Return the answer for a terminal; see `LogProbs.to_pretty_string`.

        Without log probabilities it is a sentence that says so.
        """
        if self.log_probs is None:
            return "No token log probabilities available."
        return self.log_probs.to_pretty_string(
            show_probabilities, color=color, palette=palette, width=width
        )

    def to_html(self, *, palette: Palette = "red-green", images: bool = False) -> str:
        """Return the completion as an HTML page without scripts or external resources.

        Each token is tinted by its probability; on hover and on focus it shows the
        alternatives.

        Args:
            palette: Tints from improbable to certain. Those of `viridis` are also
                distinct for readers who cannot tell red from green.
            images: Whether the page holds the pictures of the question; see
                `Conversation.to_html`.

        Raises:
            ConfigurationError: If there is no such palette, or *images* is no bool.
        """
        return rendering().html_page(self, palette=palette, images=images)


def schema_of(completion: TextCompletion[object]) -> JsonSchema[object] | None:
    """Return the schema of the type that *completion* was asked for, if any was."""
    # A user has the type, and reads `value`.
    return completion._schema  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
