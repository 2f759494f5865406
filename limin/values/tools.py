"""Tools that a model may call, and its calls."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NoReturn, TypeAlias, TypeVar, cast, overload

import attrs
import msgspec

from limin.errors import ConfigurationError, ConversationError
from limin.values.checks import (
    as_list,
    describe_type,
    plain,
    plain_json,
    plain_mapping,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import TypeForm

    from limin.schemas.signatures import SignatureSchema

T = TypeVar("T")

# OpenAI's rule for the names of functions.
# Source: https://platform.openai.com/docs/api-reference/chat/create
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

# The field of a call or a tool that holds its name.
_BODY = "function"
_INNER_FIELDS = frozenset({"name", "arguments"})


def _to_text(value: str) -> str:
    return cast("str", plain(value))


def _to_extra(extra: Mapping[str, object] | None) -> Mapping[str, object] | None:
    if not isinstance(extra, Mapping):
        return extra
    return plain_mapping("extra of a tool call", extra, ConversationError) or None


def _to_flag(value: bool) -> bool:  # noqa: FBT001 (attrs passes it)
    return cast("bool", plain(value))


def _to_schema(parameters: Mapping[str, object]) -> Mapping[str, object]:
    if not isinstance(parameters, Mapping):
        return parameters
    return plain_mapping("parameters of a tool", parameters, ConfigurationError)


def _show_length(text: str) -> str:
    return f"<{len(text)} characters>"


@attrs.frozen
class ToolCall:
    """A model's call of a tool.

    Source: `choices[].message.tool_calls[]`.

    Attributes:
        id: Id of the call, which the message with its result repeats. If the server
            sent none, it is made from the call's place in the conversation.
        name: Name of the tool.
        arguments: The arguments as the model wrote them, by contract the text of a JSON
            object. The repr shows only its length.
        extra: Fields that limin does not know, which are sent back as they came. Those
            inside the call's `function` are under that name. None if there are none.

    Raises:
        ConversationError: If id, name or arguments are no text.
    """

    id: str = attrs.field(converter=_to_text)
    name: str = attrs.field(converter=_to_text)
    arguments: str = attrs.field(converter=_to_text, repr=_show_length)
    extra: Mapping[str, object] | None = attrs.field(
        default=None, kw_only=True, repr=False, converter=_to_extra
    )

    def __attrs_post_init__(self) -> None:
        for name in ("id", "name", "arguments"):
            value: object = getattr(self, name)
            if not isinstance(value, str):
                self._refuse(name, "a str", describe_type(value))
        extra = self.extra
        if extra is None:
            return
        if not isinstance(extra, Mapping):
            self._refuse("extra", "a mapping or None", describe_type(extra))
        inner = extra.get(_BODY, {})
        if not isinstance(inner, dict):
            self._refuse("extra", "a mapping as `function`", describe_type(inner))
        if "id" in extra or not _INNER_FIELDS.isdisjoint(cast("dict[str, object]", inner)):
            self._refuse("extra", "fields other than id, name and arguments", "one of them")

    @overload
    def parse(self) -> dict[str, object]: ...

    @overload
    def parse(self, arguments_type: TypeForm[T]) -> T: ...

    def parse(self, arguments_type: object = dict) -> object:
        """Return the arguments as an instance of *arguments_type*.

        Blank arguments, which some servers send for a call without any, are an empty
        object.

        Raises:
            ToolCallError: If they are no JSON, or do not fit.
        """
        from limin.values.tool_arguments import parse_arguments  # noqa: PLC0415 (loads schemas)

        return parse_arguments(self.arguments, arguments_type)

    def to_openai(self) -> dict[str, object]:
        """Return the call as OpenAI's API has it."""
        extra = cast("dict[str, object]", plain_json(self.extra or {}))
        inner = cast("dict[str, object]", extra.pop(_BODY, {}))
        body = {"name": self.name, "arguments": self.arguments, **inner}
        return {"id": self.id, "type": "function", _BODY: body} | extra

    @classmethod
    def from_openai(cls, fields: Mapping[str, object]) -> ToolCall | Mapping[str, object]:
        """Return the call in *fields*; a copy of them if a `ToolCall` cannot hold it."""
        copied = cast("dict[str, object]", plain_json(fields))
        body = copied.get(_BODY)
        if not isinstance(body, dict):
            return copied
        inner = cast("dict[str, object]", body)
        extra = {k: v for k, v in copied.items() if k not in {"id", "type", _BODY}}
        others = {k: v for k, v in inner.items() if k not in _INNER_FIELDS}
        if others:
            extra[_BODY] = others
        texts = (copied.get("id"), inner.get("name"), inner.get("arguments"))
        if not all(isinstance(text, str) for text in texts):
            return copied
        call_id, name, arguments = cast("tuple[str, str, str]", texts)
        call = cls(call_id, name, arguments, extra=extra)
        return call if call.to_openai() == copied else copied

    def _refuse(self, field: str, expected: str, found: str) -> NoReturn:
        problem = f"{field} of a tool call: expected {expected}, found {found}"
        raise ConversationError(problem)


class ToolCallDelta(msgspec.Struct, frozen=True, gc=False):
    """The part of one tool call that one event of a stream adds.

    Source: `choices[].delta.tool_calls[]` of a chunk.

    Attributes:
        index: Index of the call among those of the answer, from 0; None if not sent.
            Some servers send 0 for each.
        id: Id of the call; None if it is not in this event.
        name: Name of the tool, or its next part; None if it is not in this event.
        arguments: Next part of the arguments; often empty.
        extra: Fields that limin does not know; None if there are none.
    """

    index: int | None = None
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    extra: Mapping[str, object] | None = None

    def __repr__(self) -> str:
        """Return index, id and name; of the arguments the length, as in a `ToolCall`."""
        fields = f"index={self.index!r}, id={self.id!r}, name={self.name!r}"
        return f"ToolCallDelta({fields}, arguments={_show_length(self.arguments)})"


@attrs.frozen
class Tool:
    """A tool that a model may call.

    Attributes:
        name: Its name: 1 to 64 letters, digits, `_` and `-`.
        description: What it does, in words for the model.
        parameters: JSON schema of its arguments, an object.
        function: The function that `run_tools` calls, sync or async; None if nothing is
            called for it.
        strict: Whether the server forces the arguments into the schema; see OpenAI's
            rules for strict schemas.

    Raises:
        ConfigurationError: If the name breaks the rule, or a field has another type.

    Source: https://platform.openai.com/docs/guides/function-calling
    """

    name: str = attrs.field(converter=_to_text)
    description: str = attrs.field(converter=_to_text, repr=False)
    parameters: Mapping[str, object] = attrs.field(converter=_to_schema, repr=False)
    function: Callable[..., object] | None = None
    strict: bool = attrs.field(default=False, converter=_to_flag)
    _signature: SignatureSchema | None = attrs.field(
        default=None, init=False, eq=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            expected = "1 to 64 letters, digits, `_` and `-`"
            found = (
                "another str" if isinstance(self.name, str) else describe_type(self.name)
            )
            self._refuse("name", expected, found)
        if not isinstance(self.description, str):
            self._refuse("description", "a str", describe_type(self.description))
        if not isinstance(self.parameters, Mapping):
            self._refuse("parameters", "a JSON schema", describe_type(self.parameters))
        if self.function is not None and not callable(self.function):
            self._refuse("function", "a function or None", describe_type(self.function))
        if not isinstance(self.strict, bool):
            self._refuse("strict", "True or False", describe_type(self.strict))

    @classmethod
    def from_function(
        cls, function: Callable[..., object], *, strict: bool = False
    ) -> Tool:
        """Return *function* as a tool.

        The name is the function's, the schema that of its annotations. The descriptions
        are the docstring's summary and its `Args:` in Google's style. A parameter with a
        default is optional.

        Args:
            function: A function, sync or async, with an annotation for each parameter.
            strict: Whether the server forces the arguments into the schema. Some servers
                let a model write any JSON without. Strict mode knows no optional
                parameter, so one with a default may be null there, which leaves it out.

        Raises:
            ConfigurationError: If a parameter has no annotation or cannot be given by
                name, if its type has no schema, or if strict mode cannot say it.
        """
        from limin.values.tool_arguments import read_signature  # noqa: PLC0415 (loads schemas)

        signature = read_signature(function, strict=strict)
        name, description = signature.name, signature.description
        tool = cls(name, description, signature.schema, function, strict)
        object.__setattr__(tool, "_signature", signature)
        return tool

    def read_arguments(self, arguments: str) -> dict[str, object]:
        """Return the *arguments* of a call as keyword arguments of the function.

        They are of the types in its annotations. If it has none, they are plain JSON
        values.

        Raises:
            ToolCallError: If they are no JSON object, or do not fit.
        """
        from limin.values.tool_arguments import read_arguments  # noqa: PLC0415 (loads schemas)

        return read_arguments(arguments, self._signature, self.function)

    def to_openai(self) -> dict[str, object]:
        """Return the tool as OpenAI's API takes it."""
        body: dict[str, object] = {"name": self.name, "description": self.description}
        body["parameters"] = plain_json(self.parameters)
        if self.strict:
            body["strict"] = True
        return {"type": "function", "function": body}

    def _refuse(self, field: str, expected: str, found: str) -> NoReturn:
        problem = f"{field} of a tool: expected {expected}, found {found}"
        raise ConfigurationError(problem)


ToolSource: TypeAlias = "Tool | Callable[..., object] | Mapping[str, object]"

# The choices that are no name of a tool.
CHOICES = ("auto", "none", "required")


def to_tools(sources: Sequence[ToolSource]) -> tuple[Tool | Mapping[str, object], ...]:
    """Return each of *sources* as a tool; a mapping as a copy that nobody else can change.

    Raises:
        ConfigurationError: If one is neither a function nor a tool, or two tools have
            the same name.
    """
    entries = as_list(sources)
    if entries is None:
        problem = f"tools: expected a sequence of tools, found {describe_type(sources)}"
        raise ConfigurationError(problem)
    tools = tuple(_to_tool(entry, index) for index, entry in enumerate(entries))
    first_index: dict[str, int] = {}
    for index, name in enumerate(map(tool_name, tools)):
        if name is not None and first_index.setdefault(name, index) != index:
            indices = f"tools[{first_index[name]}] and tools[{index}]"
            problem = f"tools: expected another name for each, found one for {indices}"
            raise ConfigurationError(problem)
    return tools


def tool_name(tool: Tool | Mapping[str, object]) -> str | None:
    """Return the name of *tool*; None if it has none, as tools of a server need not."""
    if isinstance(tool, Tool):
        return tool.name
    body = tool.get(_BODY)
    name = cast("dict[str, object]", body).get("name") if isinstance(body, dict) else None
    return name if isinstance(name, str) else None


def check_tool_choice(
    choice: str | Mapping[str, object], tools: Sequence[Tool | Mapping[str, object]]
) -> None:
    """Refuse a *choice* that none of *tools* can follow.

    Raises:
        ConfigurationError: If there are no tools, or none has the name.
    """
    if not tools:
        problem = "tool_choice: expected tools= beside it, found it alone"
        raise ConfigurationError(problem)
    if isinstance(choice, str) and choice not in (*CHOICES, *map(tool_name, tools)):
        expected = f"{', '.join(CHOICES)} or the name of a tool"
        problem = f"tool_choice: expected {expected}, found another str"
        raise ConfigurationError(problem)


def tool_choice_to_openai(choice: str | Mapping[str, object]) -> object:
    """Return *choice* as OpenAI's API takes it."""
    if isinstance(choice, str) and choice not in CHOICES:
        return {"type": "function", "function": {"name": choice}}
    return choice


def relax_tool_choice(
    choice: str | Mapping[str, object] | None,
) -> str | Mapping[str, object] | None:
    """Return *choice* as one that forces no call; the same object if it forces none.

    A choice among some of the tools stays one among these.

    Source: https://platform.openai.com/docs/api-reference/chat/create, `allowed_tools`.
    """
    if choice is None or choice in ("auto", "none"):
        return choice
    allowed = choice.get("allowed_tools") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or not isinstance(allowed, Mapping):
        return None
    among = cast("Mapping[str, object]", allowed)
    if among.get("mode") == "auto":
        return choice
    return {**choice, "allowed_tools": {**among, "mode": "auto"}}


def _to_tool(source: object, index: int) -> Tool | Mapping[str, object]:
    if isinstance(source, Tool):
        return source
    if isinstance(source, Mapping):
        mapping = cast("Mapping[str, object]", source)
        return plain_mapping(f"tools[{index}]", mapping, ConfigurationError)
    if callable(source):
        return Tool.from_function(source)
    expectation = f"tools[{index}]: expected a function, a Tool or a mapping"
    problem = f"{expectation}, found {describe_type(source)}"
    raise ConfigurationError(problem)
