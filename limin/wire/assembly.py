"""The chunks of a stream, to deltas while it runs and to the completion in the end.

The completion is read from a body that is put together of the chunks, so that
a streamed answer and a whole one go the same way.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING

import attrs
import msgspec

from limin.values.completion import Delta
from limin.values.log_probs import LogProbs
from limin.values.warnings import WarningCode
from limin.wire import error_response, lenient, schema, untyped
from limin.wire.http import HttpResponse
from limin.wire.log_probs import Notes
from limin.wire.response import (
    find_log_probs,
    has_value,
    normalize_finish_reason,
    read_completion,
    response_error,
)
from limin.wire.sse import ErrorEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.errors import ResponseError, StatusError
    from limin.values.completion import TextCompletion
    from limin.values.timing import Timing
    from limin.wire.response import ReadingContext

_NULL = len(b"null")
_NOTHING = msgspec.Raw()
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# What a gateway says whose provider broke off.
_ERROR = "error"

# OpenAI takes 128 at most; each costs more than the bytes that name it.
_MOST_CHOICES = 1024

# What is kept of a chunk but for its choices.
_NAMES = ("id", "model", "created")
_FIELDS = (*_NAMES, "system_fingerprint", "usage", "error", "message", "detail")

# What has its place in the answer already, or tells of one chunk alone: the padding of
# OpenAI, and the ids of vLLM.
_PLACED = ("object", "choices", "index", "delta", "text", "logprobs", "finish_reason")
_NO_EXTRAS = frozenset({*_FIELDS, *_PLACED, "obfuscation", "token_ids"})
_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_choices_decoder = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


class Assembly:
    """The answer to a question, as far as its stream has told it.

    Attributes:
        is_done: Whether the server said that nothing more comes.
    """

    def __init__(
        self, question: ReadingContext, head: HttpResponse, now: float = 0.0
    ) -> None:
        """Nothing of the answer has come.

        Args:
            question: What the answer is read against.
            head: The answer's status and headers.
            now: When they came, in Unix seconds.
        """
        self._question, self._head, self._now = question, head, now
        self._choices: defaultdict[int, list[schema.ChunkChoice]] = defaultdict(list)
        self._finished: set[int] = set()
        self._fields: dict[str, msgspec.Raw] = {}
        self._has_names = False
        self._halves: dict[int, str] = {}  # Of characters, by the index of the choice.
        self._first = self._last = b""
        self._finishing: list[bytes] = []  # Events in which choices stopped.
        self._notes = Notes()
        self.is_done = False

    @property
    def is_finished(self) -> bool:
        """Whether each choice has told why it stopped, and none is known to be missing.

        Some servers give one choice whatever they are asked for, and say that it was
        all.
        """
        finished = len(self._finished)
        expected = 1 if self.is_done else self._question.n_choices
        return expected <= finished == len(self._choices)

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the answer can be missing, be the stream's end as it may."""
        return self.is_finished and "usage" in self._fields

    def add(self, data: bytes, deltas: list[Delta]) -> None:
        """Append to *deltas* what an event, whose *data* these are, adds to the answer.

        Raises:
            StatusError: If the event is an error, after what it adds all the same.
            ResponseError: If it is no JSON object, its choices are no list, or there
                are more than anybody asks for.
        """
        if isinstance(data, ErrorEvent):
            raise self._status_error(data)
        try:
            chunk = schema.chunk_decoder.decode(data)
        except _UNDECODABLE:
            chunk = self._mended(data)
        if not self._has_names:
            self._take_names(chunk)
        if len(chunk.usage) > _NULL and has_value(chunk.usage):
            self._fields["usage"] = chunk.usage
            # vLLM tells it here alone.
            self._fields["system_fingerprint"] = chunk.system_fingerprint
        failed = len(chunk.error) > 0 and has_value(chunk.error)
        if not chunk.choices:  # Old vLLM, SGLang and FastAPI know no key `error`.
            failed |= _is_told(chunk.message) or _is_told(chunk.detail)
        for place, choice in enumerate(chunk.choices or ()):
            if (delta := self._take(choice, place, data)) is not None:
                deltas.append(delta)
            failed |= len(choice.error) > 0 and has_value(choice.error)
            failed |= choice.finish_reason == _ERROR
        if failed:
            raise self._status_error(data)
        self._first, self._last = self._first or data, data

    def completion(self, timing: Timing, request_id: str | None = None) -> TextCompletion:
        """The completion so far; without a choice if none came, with an empty one.

        Args:
            timing: When it was asked for, and how long it took.
            request_id: The server's name for the exchange; None for that of the head.

        Raises:
            ResponseError: If tools are called with arguments nested too deeply.
        """
        body: dict[str, object] = {k: v for k, v in self._fields.items() if len(v)}
        body["object"] = "chat.completion"
        choices = {
            index: _choice(index, chunks) for index, chunks in sorted(self._choices.items())
        }
        for event in (self._first, *self._finishing, self._last):
            _tell_more(body, choices, event)
        body["choices"] = [*choices.values()] or [_choice(0, [])]
        answer = HttpResponse(200, self._head.headers, msgspec.json.encode(body))
        found = read_completion(self._question, timing, answer)
        told = {(warning.path, warning.problem) for warning in found.body_warnings}
        odd = [
            warning
            for warning in self._notes.warnings()
            if (warning.path.replace(".delta", ".message"), warning.problem) not in told
        ]
        return attrs.evolve(
            found,
            request_id=request_id or found.request_id,
            body_warnings=(*found.body_warnings, *odd),
        )

    def _take(self, choice: schema.ChunkChoice, place: int, data: bytes) -> Delta | None:
        index = place if choice.index is None else choice.index
        self._choices[index].append(choice)
        if len(self._choices) > _MOST_CHOICES:
            problem = f"expected at most {_MOST_CHOICES} choices, found more"
            raise self._response_error(problem, "$.choices", data)
        finish_reason = log_probs = None
        text = reasoning = refusal = ""
        tool_calls = b""
        if choice.finish_reason:
            self._finished.add(index)
            self._finishing.append(data)
            if choice.finish_reason != _ERROR:
                finish_reason = normalize_finish_reason(choice.finish_reason)
        if choice.logprobs is not None:
            path = f"$.choices[{place}].logprobs"
            reading = find_log_probs(choice.logprobs, path, self._question)
            log_probs = None if reading is None else LogProbs(reading[0])
        if choice.delta is None:
            self._take_otherwise(choice, place)
        delta = choice.delta
        if delta is not None:
            text = self._in_characters(delta.content or "", index)
            refusal = delta.refusal or ""
            reasoning = delta.reasoning or delta.reasoning_content or delta.thinking or ""
            if not reasoning and len(delta.reasoning_details) > _NULL:
                reasoning = lenient.join_reasoning(delta.reasoning_details) or ""
            if len(delta.tool_calls) > _NULL or len(delta.function_call) > _NULL:
                called = filter(_is_told, (delta.tool_calls, delta.function_call))
                tool_calls = bytes(next(called, b""))
        found = text or reasoning or refusal or finish_reason or tool_calls
        if not found and log_probs is None:
            return None
        return Delta(text, reasoning, refusal, index, finish_reason, log_probs, tool_calls)

    def _in_characters(self, text: str, index: int) -> str:
        """*text* after the half of a surrogate pair that was held back; its own is too."""
        if not text or not (index in self._halves or _is_half(text[-1])):
            return text
        text = self._halves.pop(index, "") + text
        if _is_half(text[-1]):
            text, self._halves[index] = text[:-1], text[-1]
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

    def _take_otherwise(self, choice: schema.ChunkChoice, place: int) -> None:
        """Take what some servers send in the place of a delta for one."""
        found = "message"
        if choice.message is not None:
            choice.delta = choice.message
        elif choice.text is not None:
            choice.delta, found = schema.MessageDelta(content=choice.text), "text"
        else:
            return
        path = f"$.choices[{place}].delta"
        problem = f"expected a delta, found `{found}`"
        self._notes.add(WarningCode.BODY_MENDED, path, problem)

    def _take_names(self, chunk: schema.Chunk) -> None:
        """Keep the first of each that says something: Azure's first chunk does not."""
        for name in _NAMES:
            value: msgspec.Raw = getattr(chunk, name)
            if len(value) and not _is_told(self._fields.get(name, _NOTHING)):
                self._fields[name] = value
        known = (self._fields.get(name, _NOTHING) for name in ("id", "model"))
        self._has_names = all(map(_is_told, known))

    def _mended(self, data: bytes) -> schema.Chunk:
        words = data.strip()
        if not words or words == b"[DONE]":
            self.is_done |= bool(words)
            return schema.Chunk(choices=[])
        try:
            return _mend_chunk(data, self._notes)
        except lenient.Unmendable as error:
            problem, path = error.problem, error.path
        except RecursionError:
            problem, path = "nested too deeply", "$"
        raise self._response_error(problem, path, data)

    def _response_error(self, problem: str, path: str, data: bytes) -> ResponseError:
        answer = attrs.evolve(self._head, body=data)
        return response_error(problem, path, self._question, answer)

    def _status_error(self, data: bytes) -> StatusError:
        answer = attrs.evolve(self._head, body=bytes(data))
        return error_response.status_error(answer, self._question.secrets, self._now)


def _tell_more(
    body: dict[str, object], choices: dict[int, dict[str, object]], event: bytes
) -> None:
    """Add to *body* the fields of an *event* that limin does not know.

    And to its *choices* those of them that stop in it; before, they tell of parts.
    """
    with suppress(*_UNDECODABLE):
        chunk = _fields_decoder.decode(event)
        body |= {name: told for name, told in chunk.items() if name not in _NO_EXTRAS}
        for place, told in enumerate(_choices_decoder.decode(chunk.get("choices", b"[]"))):
            index = bytes(told.get("index", b""))
            choice = choices.get(int(index) if index.isdigit() else place)
            if choice is not None and _is_told(told.get("finish_reason", _NOTHING)):
                choice |= {n: value for n, value in told.items() if n not in _NO_EXTRAS}


def _is_half(character: str) -> bool:
    """Whether *character* is the first of a surrogate pair, of which JSON is made."""
    return "\ud800" <= character <= "\udbff"


def _is_told(raw: msgspec.Raw) -> bool:
    return len(raw) > 0 and has_value(raw)


def _choice(index: int, chunks: list[schema.ChunkChoice]) -> dict[str, object]:
    """A choice of a whole answer, put together of those of *chunks*."""
    deltas = [chunk.delta for chunk in chunks if chunk.delta is not None]
    message: dict[str, object] = {"role": "assistant"}
    for name in ("content", "refusal", "reasoning", "reasoning_content"):
        message[name] = _joined(deltas, name)
    thinking = _joined(deltas, "thinking")
    if thinking is not None:
        text = {"type": "text", "text": message["content"]}
        message["content"] = [{"type": "thinking", "thinking": thinking}, text]
    for name in ("reasoning_details", "tool_calls", "function_call"):
        message[name] = _listed(deltas, name)
    told = [chunk.logprobs for chunk in chunks if chunk.logprobs is not None]
    names = schema.LogProbs.__struct_fields__
    reasons = [chunk.finish_reason for chunk in chunks if chunk.finish_reason]
    return {
        "index": index,
        "message": {name: value for name, value in message.items() if value is not None},
        "logprobs": {name: _listed(told, name) for name in names} if told else None,
        "finish_reason": reasons[-1] if reasons else None,
    }


def _joined(parts: Iterable[object], name: str) -> msgspec.Raw | None:
    """The texts under *name*, joined; None if there are none."""
    found = [text for text in map(attrgetter(name), parts) if text is not None]
    if not found:
        return None
    text = "".join(found)
    try:
        return msgspec.Raw(msgspec.json.encode(text))
    except UnicodeEncodeError:
        return _raw(text)


def _listed(parts: Iterable[object], name: str) -> msgspec.Raw | None:
    """The elements of the lists under *name* in one; what is no list is an element."""
    told: Iterable[msgspec.Raw] = filter(len, map(attrgetter(name), parts))
    values = [bytes(raw).strip() for raw in told if has_value(raw)]
    listed = [value[1:-1].strip() if value[:1] == b"[" else value for value in values]
    elements = b",".join(filter(None, listed))
    return msgspec.Raw(b"[%b]" % elements) if elements else None


def _mend_chunk(data: bytes, notes: Notes) -> schema.Chunk:
    """The chunk of odd shape in *data*, mended as a body is, for it is nearly one.

    Raises:
        Unmendable: If it is no JSON object, or its choices are no list.
    """
    fields: dict[str, object] = {}
    with suppress(ValueError):
        fields = untyped.as_object(untyped.parse(data)) or {}
    if not fields:
        lenient.mend_completion(data)  # Raises, and tells what it is instead.
    choices = fields.get("choices")
    sent = [untyped.as_object(choice) or {} for choice in untyped.as_list(choices) or ()]
    for choice in sent:
        choice["message"] = choice.get("delta") or choice.get("message") or {}
    nearly: dict[str, object] = {"choices": choices or [], "error": fields.get("error")}
    body, warnings = lenient.mend_completion(bytes(_raw(nearly)))
    for warning in warnings:
        path = warning.path.replace(".message", ".delta")
        notes.add(warning.code, path, warning.problem)
    mended = [
        schema.ChunkChoice(_delta(*both), *msgspec.structs.astuple(both[0])[1:])
        for both in zip(body.choices, sent, strict=False)
    ]
    kept = {name: _raw(fields.get(name)) for name in _FIELDS}
    return schema.Chunk(None if choices is None else mended, **kept)


def _delta(choice: schema.Choice, sent: dict[str, object]) -> schema.MessageDelta:
    delta = untyped.as_object(sent["message"]) or {}
    return schema.MessageDelta(
        **msgspec.structs.asdict(choice.message),
        tool_calls=_raw(delta.get("tool_calls")),
        function_call=_raw(delta.get("function_call")),
    )


def _raw(value: object) -> msgspec.Raw:
    # The standard library's writer keeps NaN and halves of surrogate pairs.
    return _NOTHING if value is None else msgspec.Raw(json.dumps(value).encode())
