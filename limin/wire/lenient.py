"""Odd bodies, brought to the standard shape, with a warning for each mending.

Only what the decoder refuses comes here. What cannot be mended is left out, and
never made up.
"""

from __future__ import annotations

import json

import msgspec

from limin.values.warnings import ResponseWarning, WarningCode
from limin.wire import schema, untyped


class Unmendable(Exception):  # noqa: N818 (never leaves `wire/`)
    """There is no answer in a body.

    Attributes:
        problem: What was expected and not found.
        path: Its JSON path.
    """

    def __init__(self, problem: str, path: str = "$") -> None:
        super().__init__(problem, path)
        self.problem, self.path = problem, path


def mend_completion(
    body: bytes,
) -> tuple[schema.Completion, tuple[ResponseWarning, ...]]:
    """What *body* holds, in the standard shape, and what was odd about it.

    Raises:
        Unmendable: If the body is no JSON object, or holds no list of choices.
    """
    try:
        parsed = untyped.parse(body)
    except ValueError:
        problem = "expected a JSON object, found no JSON"
        raise Unmendable(problem) from None
    fields = untyped.as_object(parsed)
    if fields is None:
        problem = f"expected a JSON object, found {untyped.kind(parsed)}"
        raise Unmendable(problem)
    if fields.get("error"):
        return schema.Completion(choices=[], error=_raw(fields["error"])), ()
    choices = untyped.as_list(fields.get("choices"))
    if choices is None:
        problem = f"expected a list of choices, found {untyped.kind(fields.get('choices'))}"
        raise Unmendable(problem, "$.choices")
    mending = _Mending()
    completion = schema.Completion(
        choices=[
            mending.choice(choice, f"$.choices[{place}]")
            for place, choice in enumerate(choices)
        ],
        id=mending.text(fields, "id", "$"),
        model=mending.text(fields, "model", "$"),
        usage=mending.usage(fields.get("usage"), "$.usage"),
        prompt_logprobs=_raw(fields.get("prompt_logprobs")),
    )
    return completion, tuple(mending.warnings)


class _Mending:
    """Reads fields leniently, and notes what it had to leave out or bend."""

    def __init__(self) -> None:
        self.warnings: list[ResponseWarning] = []

    def note(self, path: str, expected: str, found: object) -> None:
        problem = f"expected {expected}, found {untyped.kind(found)}"
        self.warnings.append(ResponseWarning(WarningCode.BODY_MENDED, path, problem))

    def fields_of(self, value: object, path: str) -> dict[str, object]:
        """*value* if it is an object, else an empty one."""
        fields = untyped.as_object(value)
        if fields is None:
            self.note(path, "an object", value)
        return fields or {}

    def choice(self, value: object, path: str) -> schema.Choice:
        fields = self.fields_of(value, path)
        logprobs = fields.get("logprobs")
        return schema.Choice(
            message=self.message(fields.get("message"), f"{path}.message"),
            index=self.count(fields, "index", path),
            finish_reason=self.text(fields, "finish_reason", path),
            logprobs=None if logprobs is None else self.log_probs(logprobs, path),
            error=_raw(fields.get("error")),
        )

    def message(self, value: object, path: str) -> schema.Message:
        fields = self.fields_of(value, path)
        parts = untyped.as_list(fields.get("content"))
        if parts is not None:
            self.note(f"{path}.content", "text", parts)
        thought = None if parts is None else _joined(parts, "thinking")
        return schema.Message(
            content=(
                self.text(fields, "content", path)
                if parts is None
                else _joined(parts, "text")
            ),
            thinking=thought or None,
            refusal=self.text(fields, "refusal", path),
            reasoning=self.text(fields, "reasoning", path),
            reasoning_content=self.text(fields, "reasoning_content", path),
            reasoning_details=_raw(fields.get("reasoning_details")),
        )

    def log_probs(self, value: object, path: str) -> schema.LogProbs:
        fields = self.fields_of(value, f"{path}.logprobs")
        return schema.LogProbs(
            _raw(fields.get("content")),
            _raw(fields.get("refusal")),
            _raw(fields.get("tokens")),
            _raw(fields.get("token_logprobs")),
            _raw(fields.get("top_logprobs")),
        )

    def usage(self, value: object, path: str) -> schema.Usage | None:
        if value is None:
            return None
        fields = self.fields_of(value, path)
        return schema.Usage(
            self.count(fields, "prompt_tokens", path),
            self.count(fields, "completion_tokens", path),
            self.count(fields, "total_tokens", path),
            self.details(fields, "prompt_tokens_details", path),
            self.details(fields, "completion_tokens_details", path),
            self.count(fields, "reasoning_tokens", path),
        )

    def details(
        self, usage: dict[str, object], name: str, path: str
    ) -> schema.TokenDetails | None:
        if usage.get(name) is None:
            return None
        path = f"{path}.{name}"
        fields = self.fields_of(usage[name], path)
        return schema.TokenDetails(
            self.count(fields, "cached_tokens", path),
            self.count(fields, "reasoning_tokens", path),
        )

    def text(self, fields: dict[str, object], name: str, path: str) -> str | None:
        value = fields.get(name)
        if value is not None and not isinstance(value, str):
            self.note(f"{path}.{name}", "text", value)
        return untyped.as_text(value)

    def count(self, fields: dict[str, object], name: str, path: str) -> int | None:
        """A whole number that is not negative, also if it came as text or 3.0."""
        value = fields.get(name)
        if value is None or (type(value) is int and value >= 0):
            return value if type(value) is int else None
        number = untyped.as_number(value)
        whole = number is not None and number.is_integer() and number >= 0
        self.note(f"{path}.{name}", "a count", value)
        return int(number) if number is not None and whole else None


def join_reasoning(details: msgspec.Raw) -> str | None:
    """The texts of OpenRouter's `reasoning_details`, joined."""
    try:
        parts = untyped.as_list(untyped.parse(bytes(details))) or []
    except ValueError:
        return None
    return "".join([_joined(parts, "text"), _joined(parts, "summary")]) or None


def _joined(parts: list[object], name: str) -> str:
    """The texts under *name* of content parts, which may be lists of parts themselves."""
    found = [(untyped.as_object(part) or {}).get(name) for part in parts]
    return "".join(
        untyped.as_text(inner) or ""
        for value in found
        for inner in [value, *_texts(untyped.as_list(value) or [])]
    )


def _texts(parts: list[object]) -> list[object]:
    return [(untyped.as_object(part) or {}).get("text") for part in parts]


def _raw(value: object) -> msgspec.Raw:
    # The standard library's writer keeps NaN, which msgspec would make null.
    return msgspec.Raw() if value is None else msgspec.Raw(json.dumps(value).encode())
