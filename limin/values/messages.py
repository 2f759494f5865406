"""One message of a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias, cast, get_args

import attrs

from limin.errors import ConversationError
from limin.values.checks import describe_type, plain, plain_mapping, with_article
from limin.values.content import (
    Part,
    describe_part,
    is_part,
    text_of_part,
    texts_of_json,
    texts_of_part,
    to_part,
)
from limin.values.display import Displayed
from limin.values.tools import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence, Sized

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]

_ROLES: tuple[Role, ...] = get_args(Role)
_LONGEST_NAME = 20

# They can be iterated, but are no parts in an order.
_NO_PARTS = (Mapping, bytes, bytearray, set, frozenset)

Content: TypeAlias = "str | tuple[Part, ...] | None"
Call: TypeAlias = "ToolCall | Mapping[str, object]"


def _to_role(role: Role) -> Role:
    return cast("Role", plain(role))


def _check_role(_message: object, _attribute: object, role: object) -> None:
    if not isinstance(role, str) or role not in _ROLES:
        # Swapped arguments would put the prompt here, so only a text that looks like a
        # role is quoted.
        is_name = (
            isinstance(role, str) and role.isidentifier() and len(role) <= _LONGEST_NAME
        )
        shown = repr(role) if is_name else f"another {type(role).__name__}"
        problem = f"role: expected one of {', '.join(_ROLES)}; found {shown}"
        raise ConversationError(problem)


def _to_content(content: str | Sequence[Part] | None) -> Content:
    """Return *content* as plain values; the validator refuses what is none."""
    if type(content) is str or content is None:
        return content
    if isinstance(content, str):
        # The encoder takes no subclass of `str`; the elements of a numpy array are some.
        return str.__str__(content)
    if isinstance(content, _NO_PARTS) or not isinstance(content, Iterable):
        return cast("Content", content)
    return tuple(map(to_part, content))


def _check_content(message: Message, _attribute: object, content: Content) -> None:
    if content is None or isinstance(content, str):
        return
    wrong: object = content
    if isinstance(content, tuple):
        index = next((i for i, part in enumerate(content) if not is_part(part)), None)
        if index is None:
            return
        wrong = content[index]
    name = f"content of {with_article(message.role)} message"
    expected = "a str or a sequence of str, Image, Audio, File and mappings"
    problem = f"{name}: expected {expected}, found {describe_type(wrong)}"
    raise ConversationError(problem)


def _to_calls(calls: Sequence[Call]) -> Sequence[Call]:
    """Return *calls* as a tuple in which nobody else can change a mapping."""
    is_list = isinstance(calls, Iterable) and not isinstance(calls, (str, *_NO_PARTS))
    return tuple(map(_to_call, calls)) if is_list else calls


def _to_call(call: Call) -> Call:
    if isinstance(call, Mapping):
        return plain_mapping("tool call", call, ConversationError)
    return call


def _to_extra(extra: Mapping[str, object] | None) -> Mapping[str, object] | None:
    if isinstance(extra, Mapping):
        return plain_mapping("extra of a message", extra, ConversationError) or None
    return extra


@attrs.frozen(repr=False)
class Message(Displayed):
    """One turn of a conversation.

    Attributes:
        role: The speaker.
        content: Text of the message; or its parts, of which a `str` is text and a
            mapping is sent as it is; or None, which is sent as null. Parts that are all
            `str` are sent as one text, because some servers take no list.
        name: Name of the speaker; None for no name.
        tool_calls: The assistant's calls of tools, as a tuple. A call that a `ToolCall`
            cannot hold is a mapping, which is sent as it is.
        tool_call_id: Id of the call that a tool's message answers; None without one.
        extra: More fields, which are sent as they are, such as those that only one
            server knows. None if there are none.
        omit_content: Whether the message is sent without the field `content`, which is
            None then.

    Raises:
        ConversationError: If there is no such role, or a field is of another type.
    """

    role: Role = attrs.field(converter=_to_role, validator=_check_role)
    content: Content = attrs.field(
        default="", converter=_to_content, validator=_check_content
    )
    name: str | None = attrs.field(default=None, kw_only=True)
    tool_calls: Sequence[Call] = attrs.field(default=(), kw_only=True)
    tool_call_id: str | None = attrs.field(default=None, kw_only=True)
    extra: Mapping[str, object] | None = attrs.field(default=None, kw_only=True)
    omit_content: bool = attrs.field(default=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not self.is_plain:  # The usual message pays for no more than its text.
            object.__setattr__(self, "name", plain(self.name))
            object.__setattr__(self, "tool_calls", _to_calls(self.tool_calls))
            object.__setattr__(self, "tool_call_id", plain(self.tool_call_id))
            object.__setattr__(self, "extra", _to_extra(self.extra))
            _check_fields(self)

    @property
    def is_plain(self) -> bool:
        """Whether the message is a role and a text, and nothing else."""
        return (
            type(self.content) is str
            and self.tool_calls == ()
            and self.name is None
            and self.tool_call_id is None
            and self.extra is None
            and self.omit_content is False
        )

    @property
    def text(self) -> str:
        """All text in the content; texts of several parts are joined by newlines.

        So vLLM and llama.cpp join them for a template that takes no parts.
        """
        if isinstance(self.content, str):
            return self.content
        texts = map(text_of_part, self.content or ())
        return "\n".join(text for text in texts if text is not None)

    def __repr__(self) -> str:
        """Return the role, and lengths and kinds of the rest.

        Reprs end up in logs, and prompts must not.
        """
        fields = [f"role={self.role!r}", f"content={_describe(self.content)}"]
        if self.tool_calls:
            fields.append(f"tool_calls={_count(self.tool_calls, 'call')}")
        texts = {"name": self.name, "tool_call_id": self.tool_call_id}
        fields += [
            f"{name}={_count(text, 'character')}"
            for name, text in texts.items()
            if text is not None
        ]
        if self.extra is not None:
            fields.append(f"extra={_count(self.extra, 'field')}")
        if self.omit_content:
            fields.append("omit_content=True")
        return f"Message({', '.join(fields)})"

    def texts(self) -> Iterator[str]:
        """Yield every text in the message that no error may repeat, arguments too."""
        if isinstance(self.content, str):
            yield self.content
        else:
            for part in self.content or ():
                yield from texts_of_part(part)
        for call in self.tool_calls:
            if isinstance(call, ToolCall):
                yield call.arguments
            else:
                yield from texts_of_json(call)
        yield from texts_of_json(self.extra)


def _count(values: Sized, noun: str) -> str:
    return f"<{len(values)} {noun}{'' if len(values) == 1 else 's'}>"


def _describe(content: Content) -> str:
    if isinstance(content, str):
        return f"<{len(content)} characters>"
    return "None" if content is None else f"[{', '.join(map(describe_part, content))}]"


def _check_fields(message: Message) -> None:
    """Refuse fields of a wrong type, and fields that contradict each other."""
    for name in ("name", "tool_call_id"):
        value = getattr(message, name)
        if value is not None and not isinstance(value, str):
            _refuse(name, "a str or None", describe_type(value))
    calls = message.tool_calls
    wrong = [calls] if not isinstance(calls, tuple) else list(filter(_is_no_call, calls))
    if wrong:
        _refuse("tool_calls", "a sequence of ToolCall", describe_type(wrong[0]))
    if not isinstance(message.omit_content, bool):
        _refuse("omit_content", "True or False", describe_type(message.omit_content))
    if message.omit_content and message.content is not None:
        _refuse("content", "None beside omit_content=True", describe_type(message.content))
    if message.extra is not None:
        _check_extra(message, message.extra)


def _is_no_call(call: object) -> bool:
    return not isinstance(call, (ToolCall, Mapping))


def _check_extra(message: Message, extra: object) -> None:
    if not isinstance(extra, Mapping):
        _refuse("extra", "a mapping or None", describe_type(extra))
    is_set = {
        "role": True,
        "content": not message.omit_content,
        "name": message.name is not None,
        "tool_calls": bool(message.tool_calls),
        "tool_call_id": message.tool_call_id is not None,
    }
    for name in cast("Mapping[object, object]", extra):
        if not isinstance(name, str):
            _refuse("extra", "a str as name of each field", describe_type(name))
        if is_set.get(name):
            _refuse("extra", f"fields other than those given ({name})", "it twice")


def _refuse(name: str, expected: str, found: str) -> NoReturn:
    problem = f"{name} of a message: expected {expected}, found {found}"
    raise ConversationError(problem)
