"""The events of a stream, assembled: deltas one by one, and the completion at the end.

The completion is read from a body that is put together from the chunks. So a streamed
answer and a whole one are read by the same code.
"""

from __future__ import annotations

from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING

import attrs
import msgspec

from limin.values.completion import Delta
from limin.values.log_probs import LogProbs
from limin.values.warnings import WarningCode
from limin.wire import error_response, lenient, schema, untyped
from limin.wire.error_signs import is_error, is_failed_chunk
from limin.wire.http import HttpResponse
from limin.wire.notes import Notes
from limin.wire.response import (
    find_log_probs,
    has_value,
    normalize_finish_reason,
    read_completion,
    response_error,
)
from limin.wire.sse import BareLines, ErrorEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.errors import LiminError
    from limin.values.completion import TextCompletion
    from limin.values.timing import Timing
    from limin.wire.response import ReadingContext

_NULL = len(b"null")
_ABSENT = msgspec.Raw()
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_DONE = b"[DONE]"

# The finish reason of a gateway whose provider broke off.
_ERROR = "error"

# OpenAI takes 128 at most; each costs more than the bytes that name it.
_MOST_CHOICES = 1024

# Of a pair of surrogates the high one comes first.
_FIRST_SURROGATE, _LAST_HIGH_SURROGATE = "\ud800", "\udbff"

# What chunks repeat: the first value counts.
_NAMES = ("id", "model", "created")

# Fields that the body has anyway, and fields of a single chunk: the padding of OpenAI,
# and the token ids of vLLM.
_ASSEMBLED = {
    *(set(schema.Chunk.__struct_fields__) - {"errors", "base_resp"}),
    *("object", "index", "delta", "text", "logprobs", "finish_reason"),
    *("obfuscation", "token_ids"),
}
_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_choices_decoder = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


class Update(msgspec.Struct, gc=False):
    """The additions of one event, or of some bytes, to an answer.

    Attributes:
        deltas: In the order in which they came.
        error: The error after them, which ends the stream; None if there is none.
        has_data: Whether data came; comments and blank events are none.
    """

    deltas: list[Delta]
    error: LiminError | None = None
    has_data: bool = True


class Assembly:
    """One answer, as far as its stream came.

    Attributes:
        is_done: Whether the server said that nothing more comes.
    """

    def __init__(
        self, context: ReadingContext, head: HttpResponse, now: float = 0.0
    ) -> None:
        """Start with an empty answer.

        Args:
            context: The request that the answer belongs to.
            head: Status and headers of the response.
            now: When they came, in Unix seconds.
        """
        self._context, self._head, self._now = context, head, now
        self._choices: dict[int, _ChoiceParts] = {}
        self._fields: dict[str, msgspec.Raw] = {}
        self._extras: dict[str, msgspec.Raw] = {}
        self._has_names = False
        self._last = b""
        self._notes = Notes()
        self.is_done = False

    @property
    def is_finished(self) -> bool:
        """Whether every expected choice has a finish reason.

        Some servers send one choice even if more were requested. They are believed
        once they say that nothing more comes.
        """
        expected = 1 if self.is_done else self._context.n_choices
        choices = self._choices.values()
        return expected <= len(choices) and all(parts.is_finished for parts in choices)

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the answer can be missing, however the stream ends."""
        return self.is_finished and "usage" in self._fields

    def feed(self, data: bytes) -> Update:
        """Add the event with *data* to the answer.

        Returns:
            Its deltas, and its error: a `StatusError` if the server reports one, and a
            `ResponseError` if the event is no JSON object with a list of choices.
        """
        if isinstance(data, (ErrorEvent, BareLines)) and data.strip() != _DONE:
            failed = isinstance(data, ErrorEvent) or is_error(data)
            return Update([], self._status_error(data) if failed else None, failed)
        try:
            chunk = schema.chunk_decoder.decode(data)
        except _UNDECODABLE:
            text = data.strip()
            if not text or text == _DONE:
                self.is_done |= bool(text)
                return Update([], has_data=bool(text))
            try:
                chunk = lenient.mend_chunk(data, self._notes)
            except lenient.Unmendable as error:
                return Update([], self._response_error(error.problem, error.path, data))
            except RecursionError:
                return Update([], self._response_error("nested too deeply", "$", data))
        if not self._has_names:
            self._add_names(chunk)
        if len(chunk.usage) > _NULL and has_value(chunk.usage):
            self._fields["usage"] = chunk.usage
            # vLLM sends it in this chunk only.
            self._fields["system_fingerprint"] = chunk.system_fingerprint
        return self._add_choices(chunk, data)

    def completion(self, timing: Timing) -> TextCompletion:
        """Return the completion so far; it has one empty choice if none came.

        Args:
            timing: The timing of the completion.

        Raises:
            ResponseError: If the arguments of tool calls are nested too deeply.
        """
        body: dict[str, object] = {k: v for k, v in self._fields.items() if len(v)}
        body["object"] = "chat.completion"
        body |= self._extras
        body |= _unknown_fields(_decode_fields(self._last))
        parts = sorted(self._choices.items()) or [(0, _ChoiceParts())]
        body["choices"] = [choice.body(index) for index, choice in parts]
        response = HttpResponse(200, self._head.headers, msgspec.json.encode(body))
        completion = read_completion(self._context, timing, response)
        warnings = completion.body_warnings
        reported = {(warning.path, warning.problem) for warning in warnings}
        added = [
            warning
            for warning in self._notes.warnings()
            if (warning.path.replace(".delta", ".message"), warning.problem) not in reported
        ]
        return attrs.evolve(completion, body_warnings=(*warnings, *added))

    def _add_names(self, chunk: schema.Chunk) -> None:
        """Keep the first value of each name; those of Azure's first chunk are empty."""
        for name in _NAMES:
            value: msgspec.Raw = getattr(chunk, name)
            if len(value) and not has_value(self._fields.get(name, _ABSENT)):
                self._fields[name] = value
        id_and_model = (self._fields.get(name, _ABSENT) for name in ("id", "model"))
        self._has_names = all(map(has_value, id_and_model))

    def _add_choices(self, chunk: schema.Chunk, data: bytes) -> Update:
        deltas: list[Delta] = []
        finished: dict[int, _ChoiceParts] | None = None  # By position in the chunk.
        failed = is_failed_chunk(chunk, data)
        for position, choice in enumerate(chunk.choices or ()):
            index = position if choice.index is None else choice.index
            parts = self._choices.get(index) or self._start_choice(index)
            if parts is None:
                problem = f"expected at most {_MOST_CHOICES} choices, found more"
                return Update(deltas, self._response_error(problem, "$.choices", data))
            if choice.delta is None:
                self._replace_delta(choice, position)
            log_probs = None
            if choice.logprobs is not None:
                log_probs = self._read_log_probs(choice.logprobs, position)
            delta = parts.add(choice, index, log_probs)
            if delta is not None:
                deltas.append(delta)
            if choice.finish_reason:
                finished = finished or {}
                finished[position] = parts
                failed |= choice.finish_reason == _ERROR
            failed |= len(choice.error) > 0 and has_value(choice.error)
        if finished or not (self._last or failed):
            self._add_extras(data, finished or {})
        if failed:
            return Update(deltas, self._status_error(data))
        self._last = data
        return Update(deltas)

    def _start_choice(self, index: int) -> _ChoiceParts | None:
        """Return the parts of a new choice; None if there are too many choices."""
        if len(self._choices) < _MOST_CHOICES:
            self._choices[index] = _ChoiceParts()
        return self._choices.get(index)

    def _add_extras(self, data: bytes, finished: dict[int, _ChoiceParts]) -> None:
        """Keep the unknown fields of an event, and those of the choices that it finishes.

        Other choices are left out: their unknown fields describe parts of the answer.
        """
        fields = _decode_fields(data)
        self._extras |= _unknown_fields(fields)
        with suppress(*_UNDECODABLE):
            choices = _choices_decoder.decode(fields.get("choices", b"[]"))
            for position, choice in enumerate(choices):
                if position in finished:
                    finished[position].extras |= _unknown_fields(choice)

    def _replace_delta(self, choice: schema.ChunkChoice, position: int) -> None:
        """Use the field that some servers send instead of a delta."""
        if choice.message is not None:
            choice.delta, name = choice.message, "message"
        elif choice.text is not None:
            choice.delta, name = schema.MessageDelta(content=choice.text), "text"
        else:
            return
        path = f"$.choices[{position}].delta"
        problem = f"expected a delta, found `{name}`"
        self._notes.add(WarningCode.BODY_MENDED, path, problem)

    def _read_log_probs(self, lists: schema.LogProbs, position: int) -> LogProbs | None:
        path = f"$.choices[{position}].logprobs"
        reading = find_log_probs(lists, path, self._context)
        return None if reading is None else LogProbs(reading[0])

    def _response_error(self, problem: str, path: str, data: bytes) -> LiminError:
        if is_error(data):
            return self._status_error(data)
        response = attrs.evolve(self._head, body=data)
        return response_error(problem, path, self._context, response)

    def _status_error(self, data: bytes) -> LiminError:
        response = attrs.evolve(self._head, body=bytes(data))
        return error_response.status_error(response, self._context.secrets, self._now)


class _ChoiceParts:
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
        return None if reason == _ERROR else normalize_finish_reason(reason)

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


def _decode_fields(data: bytes) -> dict[str, msgspec.Raw]:
    """Return the fields of the object in *data*; none if it cannot be decoded."""
    try:
        return _fields_decoder.decode(data)
    except _UNDECODABLE:
        return {}


def _unknown_fields(fields: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    return {name: value for name, value in fields.items() if name not in _ASSEMBLED}


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
