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

from limin.completion import Delta
from limin.logprobs import LogProbs
from limin.wire import Answer, failure, mend, schema, tree
from limin.wire.events import ErrorEvent
from limin.wire.positions import Notes
from limin.wire.response import (
    finish_reason_of,
    load_of,
    present,
    read_completion,
    response_error,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.completion import TextCompletion
    from limin.errors import StatusError
    from limin.timing import Timing
    from limin.wire.response import Question

_NULL = len(b"null")
_NOTHING = msgspec.Raw()
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# What is kept of a chunk but for its choices.
_NAMES = ("id", "model", "created")
_FIELDS = (*_NAMES, "system_fingerprint", "usage", "error", "message", "detail")


class Assembly:
    """The answer to a question, as far as its stream has told it.

    Attributes:
        is_done: Whether the server said that nothing more comes.
    """

    def __init__(self, question: Question, head: Answer, now: float = 0.0) -> None:
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
        self._notes = Notes()
        self.is_done = False

    @property
    def is_finished(self) -> bool:
        """Whether there is a choice, and each has told why it stopped."""
        return 0 < len(self._choices) == len(self._finished)

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the answer can be missing, be the stream's end as it may."""
        return self.is_finished and "usage" in self._fields

    def add(self, data: bytes) -> list[Delta]:
        """What an event, whose *data* these are, adds to the answer; often one delta.

        Raises:
            StatusError: If the event is an error.
            ResponseError: If it is no JSON object, or its choices are no list.
        """
        if isinstance(data, ErrorEvent):
            raise self._status_error(data)
        try:
            chunk = schema.chunk_decoder.decode(data)
        except _UNDECODABLE:
            chunk = self._mended(data)
        if not self._has_names:
            self._take_names(chunk)
        if len(chunk.usage) > _NULL and present(chunk.usage):
            self._fields["usage"] = chunk.usage
            # vLLM tells it here alone.
            self._fields["system_fingerprint"] = chunk.system_fingerprint
        failed = len(chunk.error) > 0 and present(chunk.error)
        if chunk.choices is None:  # Old vLLM, SGLang and FastAPI know no key `error`.
            failed |= _is_told(chunk.message) or _is_told(chunk.detail)
        deltas: list[Delta] = []
        for place, choice in enumerate(chunk.choices or ()):
            if (delta := self._take(choice, place)) is not None:
                deltas.append(delta)
            failed |= len(choice.error) > 0 and present(choice.error)
            failed |= choice.finish_reason == "error"
        if failed:
            raise self._status_error(data)
        return deltas

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
        body["choices"] = [
            _choice(index, chunks) for index, chunks in sorted(self._choices.items())
        ] or [_choice(0, [])]
        answer = Answer(200, self._head.headers, msgspec.json.encode(body))
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

    def _take(self, choice: schema.ChunkChoice, place: int) -> Delta | None:
        index = place if choice.index is None else choice.index
        self._choices[index].append(choice)
        finish_reason = log_probs = None
        text = reasoning = refusal = ""
        if choice.finish_reason:
            self._finished.add(index)
            finish_reason = finish_reason_of(choice.finish_reason)
        if choice.logprobs is not None:
            path = f"$.choices[{place}].logprobs"
            reading = load_of(choice.logprobs, path, self._question)
            log_probs = None if reading is None else LogProbs(reading[0])
        delta = choice.delta
        if delta is not None:
            text = delta.content or ""
            refusal = delta.refusal or ""
            reasoning = delta.reasoning or delta.reasoning_content or delta.thinking or ""
            if not reasoning and len(delta.reasoning_details) > _NULL:
                reasoning = mend.reasoning_of(delta.reasoning_details) or ""
        if text or reasoning or refusal or finish_reason or log_probs is not None:
            return Delta(text, reasoning, refusal, index, finish_reason, log_probs)
        return None

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
        except mend.Unmendable as error:
            problem, path = error.problem, error.path
        except RecursionError:
            problem, path = "nested too deeply", "$"
        answer = attrs.evolve(self._head, body=data)
        raise response_error(problem, path, self._question, answer)

    def _status_error(self, data: bytes) -> StatusError:
        answer = attrs.evolve(self._head, body=bytes(data))
        return failure.status_error(answer, self._question.secrets, self._now)


def _is_told(raw: msgspec.Raw) -> bool:
    return len(raw) > 0 and present(raw)


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
    values = [bytes(raw).strip() for raw in told if present(raw)]
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
        fields = tree.as_object(tree.parse(data)) or {}
    if not fields:
        mend.mend_completion(data)  # Raises, and tells what it is instead.
    choices = fields.get("choices")
    sent = [tree.as_object(choice) or {} for choice in tree.as_list(choices) or ()]
    for choice in sent:
        choice["message"] = choice.get("delta") or {}
    nearly: dict[str, object] = {"choices": choices or [], "error": fields.get("error")}
    body, warnings = mend.mend_completion(bytes(_raw(nearly)))
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
    delta = tree.as_object(sent["message"]) or {}
    return schema.MessageDelta(
        **msgspec.structs.asdict(choice.message),
        tool_calls=_raw(delta.get("tool_calls")),
        function_call=_raw(delta.get("function_call")),
    )


def _raw(value: object) -> msgspec.Raw:
    # The standard library's writer keeps NaN and halves of surrogate pairs.
    return _NOTHING if value is None else msgspec.Raw(json.dumps(value).encode())
