"""Responses of odd shape, brought to the standard shape, with a warning for each change.

Only bodies and chunks that the decoder refuses come here. Values that cannot be read
are left out; none is made up.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from limin.values.warnings import ResponseWarning, WarningCode
from limin.wire import schema, untyped
from limin.wire.notes import Notes
from limin.wire.raw_json import decode_elements, decode_fields, has_value


class Unmendable(Exception):  # noqa: N818 (never leaves `wire/`)
    """A body in which there is no answer to read.

    Attributes:
        problem: What was expected, and what is there instead.
        path: JSON path of the problem.
    """

    def __init__(self, problem: str, path: str = "$") -> None:
        super().__init__(problem, path)
        self.problem, self.path = problem, path


class PartsMessage(schema.Message, gc=False, kw_only=True):
    """A message whose content came in parts.

    Source: Mistral, `choices[].message.content[]`.

    Attributes:
        parts: The list of the parts.
        thinking: The reasoning among them; None if there is none.
    """

    parts: msgspec.Raw
    thinking: str | None


class PartsDelta(schema.MessageDelta, gc=False, kw_only=True):
    """A delta whose content came in parts."""

    parts: msgspec.Raw
    thinking: str | None


def mend_completion(
    body: bytes,
) -> tuple[schema.Completion, tuple[ResponseWarning, ...]]:
    """Return *body* in the standard shape, and a warning for each change.

    Raises:
        Unmendable: If the body is no JSON object, or holds no list of choices.
    """
    completion, warnings = _mend_object(_parse_object(body))
    _keep_calls(completion, body, "message")
    return completion, warnings


def _keep_calls(completion: schema.Completion, body: bytes, name: str) -> None:
    """Put the calls back as they came: to parse them rewrites their arguments.

    Args:
        completion: The mended body.
        body: The body as it came.
        name: Name of the message in a choice.
    """
    if not any(has_value(choice.message.tool_calls) for choice in completion.choices):
        return
    choices = decode_elements(decode_fields(body).get("choices", b""))
    for choice, raw in zip(completion.choices, choices, strict=False):
        fields = decode_fields(decode_fields(raw).get(name, b""))
        choice.message.tool_calls = fields.get("tool_calls", choice.message.tool_calls)


def mend_chunk(data: bytes, notes: Notes) -> schema.Chunk:
    """Return the *data* of an event as a chunk of the standard shape.

    A chunk is mended like a whole body: it differs in the name of the message only.

    Args:
        data: The chunk, as it came.
        notes: Where each change is noted.

    Raises:
        Unmendable: If it is no JSON object, or its choices are no list.
    """
    fields = _parse_object(data)
    choices = fields.get("choices")
    bodies = [untyped.as_object(choice) or {} for choice in untyped.as_list(choices) or ()]
    for body in bodies:
        body["message"] = body.get("delta") or body.get("message") or {}
    completion, warnings = _mend_object(
        {"choices": choices or [], "error": fields.get("error")}
    )
    _keep_calls(completion, data, "delta")
    for warning in warnings:
        path = warning.path.replace(".message", ".delta")
        notes.add(warning.code, path, warning.problem)
    mended = [
        schema.ChunkChoice(
            _mended_delta(choice),
            choice.index,
            choice.finish_reason,
            choice.logprobs,
            choice.error,
            usage=choice.usage,
            token_ids=choice.token_ids,
        )
        for choice in completion.choices
    ]
    others = schema.Chunk.__struct_fields__[1:]
    encoded = {name: untyped.encode(fields.get(name)) for name in others}
    return schema.Chunk(None if choices is None else mended, **encoded)


def _parse_object(body: bytes) -> dict[str, object]:
    try:
        parsed = untyped.parse(body)
    except ValueError:
        problem = "expected a JSON object, found no JSON"
        raise Unmendable(problem) from None
    fields = untyped.as_object(parsed)
    if fields is None:
        problem = f"expected a JSON object, found {untyped.kind(parsed)}"
        raise Unmendable(problem)
    return fields


def _mend_object(
    fields: dict[str, object],
) -> tuple[schema.Completion, tuple[ResponseWarning, ...]]:
    if fields.get("error"):
        return schema.Completion(choices=[], error=untyped.encode(fields["error"])), ()
    choices = untyped.as_list(fields.get("choices"))
    if choices is None:
        problem = f"expected a list of choices, found {untyped.kind(fields.get('choices'))}"
        raise Unmendable(problem, "$.choices")
    mending = _Mending()
    completion = schema.Completion(
        choices=[
            mending.choice(choice, f"$.choices[{index}]")
            for index, choice in enumerate(choices)
        ],
        id=mending.text(fields, "id", "$"),
        model=mending.text(fields, "model", "$"),
        usage=mending.usage(fields.get("usage"), "$.usage"),
        prompt_logprobs=untyped.encode(fields.get("prompt_logprobs")),
        errors=untyped.encode(fields.get("errors")),
        base_resp=untyped.encode(fields.get("base_resp")),
    )
    return completion, mending.notes.warnings()


def _mended_delta(choice: schema.Choice) -> schema.MessageDelta:
    has_parts = isinstance(choice.message, PartsMessage)
    delta_class = PartsDelta if has_parts else schema.MessageDelta
    return delta_class(**msgspec.structs.asdict(choice.message))


class _Mending:
    """Reads fields leniently, and notes each value that it leaves out or converts."""

    def __init__(self) -> None:
        self.notes = Notes(per_path=True)

    def note(self, path: str, expected: str, value: object) -> None:
        problem = f"expected {expected}, found {untyped.kind(value)}"
        self.notes.add(WarningCode.BODY_MENDED, path, problem)

    def as_object(self, value: object, path: str) -> dict[str, object]:
        """Return *value* if it is an object, else an empty one."""
        fields = untyped.as_object(value)
        if fields is None:
            self.note(path, "an object", value)
        return fields or {}

    def choice(self, value: object, path: str) -> schema.Choice:
        fields = self.as_object(value, path)
        logprobs = fields.get("logprobs")
        return schema.Choice(
            message=self.message(fields.get("message"), f"{path}.message"),
            index=self.count(fields, "index", path),
            finish_reason=self.text(fields, "finish_reason", path),
            logprobs=None if logprobs is None else self.log_probs(logprobs, path),
            error=untyped.encode(fields.get("error")),
            usage=untyped.encode(fields.get("usage")),
            token_ids=untyped.encode(fields.get("token_ids")),
        )

    def message(self, value: object, path: str) -> schema.Message:
        fields = self.as_object(value, path)
        parts = untyped.as_list(fields.get("content"))
        if parts is not None:
            self.note(f"{path}.content", "text", parts)
            fields = {**fields, "content": _join_texts(parts, "text")}
        message = schema.Message(
            content=self.text(fields, "content", path),
            refusal=self.text(fields, "refusal", path),
            reasoning=self.text(fields, "reasoning", path),
            reasoning_content=self.text(fields, "reasoning_content", path),
            reasoning_details=untyped.encode(fields.get("reasoning_details")),
            tool_calls=untyped.encode(fields.get("tool_calls")),
            function_call=untyped.encode(fields.get("function_call")),
        )
        if not parts:
            return message
        thinking = _join_texts(parts, "thinking") or None
        encoded = untyped.encode(parts)
        asdict = msgspec.structs.asdict
        return PartsMessage(**asdict(message), parts=encoded, thinking=thinking)

    def log_probs(self, value: object, path: str) -> schema.LogProbs:
        fields = self.as_object(value, f"{path}.logprobs")
        names = schema.LogProbs.__struct_fields__
        return schema.LogProbs(*(untyped.encode(fields.get(name)) for name in names))

    def usage(self, value: object, path: str) -> schema.Usage | None:
        if value is None:
            return None
        fields = self.as_object(value, path)
        names = [name for name in schema.Usage.__struct_fields__ if name in fields]
        usage = schema.Usage()
        for name in names:
            read = self.details if name.endswith("_details") else self.count
            setattr(usage, name, read(fields, name, path))
        return usage

    def details(
        self, usage: dict[str, object], name: str, path: str
    ) -> schema.TokenDetails | None:
        if usage.get(name) is None:
            return None
        path = f"{path}.{name}"
        fields = self.as_object(usage[name], path)
        names = schema.TokenDetails.__struct_fields__
        return schema.TokenDetails(*(self.count(fields, name, path) for name in names))

    def text(self, fields: dict[str, object], name: str, path: str) -> str | None:
        value = fields.get(name)
        if value is not None and not isinstance(value, str):
            self.note(f"{path}.{name}", "text", value)
        return untyped.as_text(value)

    def count(self, fields: dict[str, object], name: str, path: str) -> int | None:
        """Return a whole number of at least 0, even if it came as text or as 3.0."""
        value = fields.get(name)
        if value is None or (type(value) is int and value >= 0):
            return value if type(value) is int else None
        self.note(f"{path}.{name}", "a count", value)
        number = untyped.as_number(value)
        is_count = number is not None and number.is_integer() and number >= 0
        return int(number) if number is not None and is_count else None


def mend_usage(
    usage: msgspec.Raw, path: str
) -> tuple[schema.Usage | None, tuple[ResponseWarning, ...]]:
    """Return *usage* in the standard shape, and a warning for each change."""
    mending = _Mending()
    value: object = None
    with suppress(ValueError):  # Nested more deeply than Python's parser can follow.
        value = untyped.parse(bytes(usage))
    return mending.usage(value, path), mending.notes.warnings()


def join_reasoning(details: msgspec.Raw) -> str | None:
    """Join the texts of OpenRouter's `reasoning_details`; None if there are none."""
    try:
        parts = untyped.as_list(untyped.parse(bytes(details))) or []
    except ValueError:
        return None
    return _join_texts(parts, "text") + _join_texts(parts, "summary") or None


def _join_texts(parts: list[object], name: str) -> str:
    """Join the values under *name* of content parts; a value may be a list of parts."""
    texts: list[str] = []
    for part in parts:
        value = (untyped.as_object(part) or {}).get(name)
        values = [value]
        values += [
            (untyped.as_object(inner) or {}).get("text")
            for inner in untyped.as_list(value) or ()
        ]
        texts += [untyped.as_text(value) or "" for value in values]
    return "".join(texts)
