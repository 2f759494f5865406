"""Messages, and the conversation that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast, get_args

import attrs

from limin.errors import ConversationError
from limin.values.checks import describe_type, plain, with_article
from limin.values.display import Displayed, NotebookDisplayed, rendering

if TYPE_CHECKING:
    from collections.abc import Iterable

Role = Literal["system", "developer", "user", "assistant", "tool"]

_ROLES: tuple[Role, ...] = get_args(Role)

# The roles that may follow each role; None stands for the start. A model may call
# several tools at once, so one tool's result may follow another's.
_FOLLOWERS: dict[Role | None, tuple[Role, ...]] = {
    None: ("system", "developer", "user"),
    "system": ("user",),
    "developer": ("user",),
    "user": ("assistant",),
    "assistant": ("user", "tool"),
    "tool": ("assistant", "tool"),
}

_LONGEST_NAME = 20


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


def _check_content(message: Message, _attribute: object, content: str) -> None:
    if not isinstance(content, str):
        name = f"content of {with_article(message.role)} message"
        problem = f"{name}: expected a str, found {describe_type(content)}"
        raise ConversationError(problem)


def _to_role(role: Role) -> Role:
    return cast("Role", plain(role))


def _to_content(content: str) -> str:
    # The encoder takes no subclass of `str`; the elements of a numpy array are some.
    is_plain = type(content) is str or not isinstance(content, str)
    return content if is_plain else str.__str__(content)


def _to_list(messages: Iterable[Message]) -> list[Message]:
    return list(messages)


def _length(content: str) -> str:
    return f"<{len(content)} characters>"


@attrs.frozen
class Message(Displayed):
    """One turn of a conversation.

    Attributes:
        role: The speaker.
        content: Text of the message. The repr shows only its length, because reprs
            end up in logs, and prompts must not.

    Raises:
        ConversationError: If there is no such role, or the content is no text.
    """

    role: Role = attrs.field(converter=_to_role, validator=_check_role)
    content: str = attrs.field(
        converter=_to_content, validator=_check_content, repr=_length
    )


@attrs.define
class Conversation(NotebookDisplayed):
    """Messages in their order; new ones are appended.

    A conversation starts with system, developer or user. System and developer
    are followed by user, user by assistant, assistant by user or tool, tool by
    assistant or another tool.

    Attributes:
        messages: The messages so far. The list is a copy of the argument.

    Raises:
        ConversationError: If a message comes after one that it cannot follow.
    """

    messages: list[Message] = attrs.field(factory=list[Message], converter=_to_list)

    def __attrs_post_init__(self) -> None:
        previous: Role | None = None
        for index, message in enumerate(self.messages):
            _check_turn(index, previous, message)
            previous = message.role

    @classmethod
    def from_prompts(
        cls, user_prompt: str, system_prompt: str | None = None
    ) -> Conversation:
        """Return a conversation of one user message, after the system message if any."""
        messages = [Message("user", user_prompt)]
        if system_prompt is not None:
            messages.insert(0, Message("system", system_prompt))
        return cls(messages)

    def add_message(self, message: Message) -> None:
        """Append *message*.

        Raises:
            ConversationError: If it cannot follow the last message.
        """
        previous = self.messages[-1].role if self.messages else None
        _check_turn(len(self.messages), previous, message)
        self.messages.append(message)

    def to_markdown(self) -> str:
        """Return the conversation as Markdown: each message under its role as heading."""
        return "\n".join(
            f"## {message.role.capitalize()}\n\n{message.content}\n"
            for message in self.messages
        )

    def to_pretty_string(self, *, width: int = 80, color: bool | None = True) -> str:
        """Return the conversation for a terminal: each message under its colored role.

        Control characters are shown as symbols, so they have no effect.

        Args:
            width: Columns at which the text wraps.
            color: Whether the string holds colors; None follows `NO_COLOR` and
                `FORCE_COLOR`, and without them checks whether stdout is a terminal.

        Raises:
            ConfigurationError: If *width* is below 1.
        """
        return rendering().to_string(self, width=width, color=color)

    def to_html(self) -> str:
        """Return the conversation as an HTML page without scripts or external resources."""
        return rendering().html_page(self)


def as_conversation(
    prompt: str | Conversation, system_prompt: str | None = None
) -> Conversation:
    """Return *prompt* as a new conversation, which later changes do not reach.

    Raises:
        ConversationError: If *prompt* is neither text nor a conversation, or
            holds no message.
    """
    if isinstance(prompt, str):
        return Conversation.from_prompts(prompt, system_prompt)
    if not isinstance(prompt, Conversation):
        kind = describe_type(prompt)
        problem = f"expected a prompt (str) or a Conversation, found {kind}"
        raise ConversationError(problem)
    if not prompt.messages:
        problem = "expected at least one message, found none"
        raise ConversationError(problem)
    return Conversation(prompt.messages)


def _check_turn(index: int, previous: Role | None, message: object) -> None:
    if not isinstance(message, Message):
        problem = f"message {index}: expected a Message, found {describe_type(message)}"
        raise ConversationError(problem)
    expected = _FOLLOWERS[previous]
    if message.role not in expected:
        position = "at the start" if previous is None else f"after {previous}"
        problem = (
            f"message {index}: expected {' or '.join(expected)} {position}, "
            f"found {message.role}"
        )
        raise ConversationError(problem)
