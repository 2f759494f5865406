"""The lines of a run or a checkpoint, read again: one class for each shape.

All of them have the fields of the input and those of the answer as JSON, by the names
that the outputs of `limin run` have.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Protocol, cast

import msgspec

from limin.errors import LiminError, StatusError
from limin.files.answer_bodies import to_body
from limin.files.results import (
    ADDED,
    encode_object,
    encode_value,
    fields_of_completion,
    response_object,
)
from limin.files.run_lines import without_mark
from limin.values.conversation import Conversation
from limin.values.run_records import RecordedError, RunRecord
from limin.values.timing import Timing
from limin.values.warning_codes import warning_codes
from limin.wire import untyped
from limin.wire.http import HttpResponse
from limin.wire.raw_json import is_null, read_text, read_value, split_elements, split_fields
from limin.wire.response import ReadingContext, read_completion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from limin.files.run_lines import Mark
    from limin.values.completion import TextCompletion

_NULL = msgspec.Raw(b"null")

# What stands before the keys of a checkpoint's metadata, as in `to_columns`.
_METADATA = "metadata."

# Fields of an input that may hold an id.
_IDS = ("custom_id", "id", _METADATA + "custom_id", _METADATA + "id")


class StoredLine(Protocol):
    """A line of a run or a checkpoint.

    Attributes:
        number: Number of the input line; of a checkpoint, that of its own line.
        prefix: What stands before the names of the answer's fields.
    """

    @property
    def number(self) -> int:
        """See the attributes."""
        ...

    @property
    def prefix(self) -> str:
        """See the attributes."""
        ...

    def inputs(self) -> Mapping[str, msgspec.Raw]:
        """Return the fields of the input as JSON."""
        ...

    def fields(self) -> Mapping[str, msgspec.Raw]:
        """Return the fields of the answer as JSON, by names without the prefix."""
        ...

    def to_json(self) -> bytes:
        """Return all fields as a JSON object on one line."""
        ...

    def to_batch_output(self) -> bytes:
        """Return it as a line of the output of OpenAI's Batch API."""
        ...

    def record(self) -> RunRecord:
        """Return it as it is shown."""
        ...


def text_of(value: msgspec.Raw) -> str:
    """Return the text in *value*; what is no text is there as JSON, and null is empty."""
    text = read_text(value)
    if text is not None:
        return text
    return "" if is_null(value) else bytes(value).decode(errors="replace")


def ids_of(line: StoredLine) -> frozenset[str]:
    """Return the ids that the input of *line* has."""
    inputs = line.inputs()
    return frozenset(text_of(inputs[name]) for name in _IDS if name in inputs)


@cache
def _own_names(prefix: str) -> Mapping[str, str]:
    """Return the names of the answer's fields, by those that they have behind *prefix*.

    What only a decision has, its label for example, is not among them. It is shown and
    converted as a field of the input is: each beside the question, in a column of its own.
    """
    return {prefix + name: name for name in ADDED}


class FieldsLine:
    """A line with the fields of its input and those of the answer."""

    def __init__(self, line: bytes, mark: Mark) -> None:
        """Read *line*, whose mark is *mark*."""
        self.number, self.prefix = mark.number, mark.prefix
        self._mark, self._json = mark, without_mark(line, mark)
        self._all = split_fields(self._json)

    def inputs(self) -> Mapping[str, msgspec.Raw]:
        """See `StoredLine`."""
        own = _own_names(self.prefix)
        return {name: value for name, value in self._all.items() if name not in own}

    def fields(self) -> Mapping[str, msgspec.Raw]:
        """See `StoredLine`."""
        own = _own_names(self.prefix)
        return {own[name]: value for name, value in self._all.items() if name in own}

    def to_json(self) -> bytes:
        """See `StoredLine`; the line is as it was, without what only limin needs."""
        return self._json

    def to_batch_output(self) -> bytes:
        """See `StoredLine`; the ids are made of the line."""
        name, fields = self._mark.request.hex()[:24], self.fields()
        error, response = _read_error(fields), None
        if error is None:
            response = response_object(200, None, self._body(fields))
        elif error.status is not None:
            body = {"error": {"message": error.message, "type": error.kind}}
            response = response_object(error.status, None, encode_value(body))
        return _batch_output(name, f"line-{self.number}", response, error)

    def record(self) -> RunRecord:
        """See `StoredLine`; the warnings are those of the run."""
        fields = self.fields()
        seconds = untyped.as_number(read_value(fields.get("seconds", _NULL)))
        completion = None
        if not is_null(fields.get("answer", _NULL)):
            timing = _timing(self._mark.time, seconds)
            answer = HttpResponse(200, {}, self._body(fields))
            completion = _read_completion(timing, answer)
        return RunRecord(
            number=self.number,
            inputs={name: text_of(value) for name, value in self.inputs().items()},
            completion=completion,
            error=_read_error(fields),
            warnings=_read_warnings(fields),
            seconds=seconds,
            end_time=self._mark.time,
        )

    def _body(self, fields: Mapping[str, msgspec.Raw]) -> bytes:
        name = f"chatcmpl-{self._mark.request.hex()[:24]}"
        return to_body(fields, name, self._mark.time)


class BatchLine:
    """A line of the output of OpenAI's Batch API."""

    prefix = ""

    def __init__(self, line: bytes, mark: Mark) -> None:
        """Read *line*, whose mark is *mark*."""
        self.number, self._time = mark.number, mark.time
        self._json = without_mark(line, mark)
        self._all = split_fields(self._json)

    def inputs(self) -> Mapping[str, msgspec.Raw]:
        """See `StoredLine`; the output has nothing of the input but its id."""
        return {"custom_id": self._all.get("custom_id", _NULL)}

    def fields(self) -> Mapping[str, msgspec.Raw]:
        """See `StoredLine`; how long an answer took is not known."""
        result = self._read()
        return _fields_of(result) | {"seconds": _NULL}

    def to_json(self) -> bytes:
        """See `StoredLine`."""
        return encode_object({**self.inputs(), **self.fields()})

    def to_batch_output(self) -> bytes:
        """See `StoredLine`; the line is as it was, without what only limin needs."""
        return self._json

    def record(self) -> RunRecord:
        """See `StoredLine`; the warnings are those that the body alone shows."""
        result = self._read()
        completion = None if isinstance(result, RecordedError) else result
        return RunRecord(
            number=self.number,
            custom_id=text_of(self.inputs()["custom_id"]),
            inputs={},
            completion=completion,
            error=result if isinstance(result, RecordedError) else None,
            warnings=() if completion is None else _codes_of(completion),
            end_time=self._time,
        )

    def _read(self) -> TextCompletion[object] | RecordedError:
        """Return the answer in the response, or the error."""
        response = split_fields(self._all.get("response", _NULL))
        if not response:
            error = split_fields(self._all.get("error", _NULL))
            code, message = (
                text_of(error.get(name, _NULL)) for name in ("code", "message")
            )
            return RecordedError(code, message)
        status = _read_status(response.get("status_code", _NULL))
        answer = HttpResponse(status or 0, {}, bytes(response.get("body", _NULL)))
        try:
            return _read_completion(_timing(self._time, None), answer)
        except StatusError as refusal:
            return RecordedError(type(refusal).__name__, str(refusal), status)
        except LiminError as problem:
            return RecordedError(type(problem).__name__, str(problem))


class CheckpointLine:
    """A completion in a checkpoint of the library."""

    prefix = ""

    def __init__(
        self, number: int, request: str, completion: TextCompletion[object]
    ) -> None:
        """Hold *completion*, the answer to a *request* with this hash, on line *number*."""
        self.number, self._request, self._completion = number, request, completion

    def inputs(self) -> Mapping[str, msgspec.Raw]:
        """See `StoredLine`: the messages, and each entry of the metadata."""
        conversation = self._completion.conversation
        metadata = conversation.metadata
        fields: dict[str, object] = {
            _METADATA + key: each for key, each in metadata.items()
        }
        return _to_raws({"messages": conversation.to_openai()} | fields)

    def fields(self) -> Mapping[str, msgspec.Raw]:
        """See `StoredLine`."""
        return _fields_of(self._completion)

    def to_json(self) -> bytes:
        """See `StoredLine`."""
        return encode_object({**self.inputs(), **self.fields()})

    def to_batch_output(self) -> bytes:
        """See `StoredLine`; the ids are made of the line."""
        completion = self._completion
        response = response_object(200, completion.request_id, completion.raw_bytes)
        return _batch_output(self._request[:24], f"line-{self.number}", response, None)

    def record(self) -> RunRecord:
        """See `StoredLine`."""
        completion = self._completion
        messages = completion.conversation.messages
        asked = [message.text for message in messages if message.role == "user"]
        inputs = {name: text_of(value) for name, value in self.inputs().items()}
        inputs.pop("messages")
        return RunRecord(
            number=self.number,
            inputs={"prompt": asked[-1] if asked else "", **inputs},
            completion=completion,
            error=None,
            warnings=_codes_of(completion),
            seconds=completion.duration,
            end_time=completion.end_time,
        )


def _read_error(fields: Mapping[str, msgspec.Raw]) -> RecordedError | None:
    """Return the error in *fields*; None if there is none."""
    error = split_fields(fields.get("error", _NULL))
    if not error:
        return None
    status = _read_status(error.get("status", _NULL))
    kind, message = (text_of(error.get(name, _NULL)) for name in ("type", "message"))
    return RecordedError(kind, message, status)


def _read_status(value: msgspec.Raw) -> int | None:
    status = read_value(value)
    return status if isinstance(status, int) else None


def _read_warnings(fields: Mapping[str, msgspec.Raw]) -> tuple[str, ...]:
    codes = map(read_text, split_elements(fields.get("warnings", _NULL)))
    return tuple(code for code in codes if code is not None)


def _read_completion(timing: Timing, answer: HttpResponse) -> TextCompletion[object]:
    """Return the completion in *answer*; nothing is known of its request.

    Raises:
        LiminError: If there is none.
    """
    context = ReadingContext(conversation=Conversation(), model="")
    completion = read_completion(context, timing, answer)
    return cast("TextCompletion[object]", completion)


def _timing(end_time: float, seconds: float | None) -> Timing:
    duration = seconds or 0.0
    return Timing(start_time=end_time - duration, end_time=end_time, duration=duration)


def _codes_of(completion: TextCompletion[object]) -> tuple[str, ...]:
    return tuple(code.value for code in warning_codes(completion))


def _fields_of(
    result: TextCompletion[object] | RecordedError,
) -> dict[str, msgspec.Raw]:
    """Return the fields of the answer or error *result*, as outputs have them."""
    if not isinstance(result, RecordedError):
        return _to_raws(dict(fields_of_completion(result)) | {"error": None})
    error: dict[str, object] = {"type": result.kind, "message": result.message}
    if result.status is not None:
        error["status"] = result.status
    return _to_raws({"answer": None, "error": error})


def _to_raws(fields: Mapping[str, object]) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(encode_value(value)) for name, value in fields.items()}


def _batch_output(
    request: str,
    custom_id: str,
    response: dict[str, object] | None,
    error: RecordedError | None,
) -> bytes:
    """Return a line of OpenAI's output; an *error* that has a response stands in that."""
    shown = None
    if error is not None and response is None:
        shown = {"code": error.kind, "message": error.message}
    return encode_object(
        {
            "id": f"batch_req_{request}",
            "custom_id": custom_id,
            "response": response,
            "error": shown,
        }
    )
