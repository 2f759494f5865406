"""What is asked: messages, and the conversation they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import attrs

from limin.errors import ConversationError
from limin.values.checks import describe_type, with_article
from limin.values.display import Displayed, NotebookDisplayed, rendering

if TYPE_CHECKING:
    from collections.abc import Iterable

Role = Literal["system", "developer", "user", "assistant", "tool"]

_ROLES: tuple[Role, ...] = get_args(Role)

# Whose turn it may be after whom; None stands for the start. A model may call
# several tools at once, so one tool's answer may follow another's.
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
    if role not in _ROLES:
        # Swapped arguments would put the prompt here: only what looks like a
        # role is quoted.
        short = isinstance(role, str) and role.isidentifier() and len(role) <= _LONGEST_NAME
        found = repr(role) if short else f"another {type(role).__name__}"
        problem = f"role: expected one of {', '.join(_ROLES)}; found {found}"
        raise ConversationError(problem)


def _check_content(message: Message, _attribute: object, content: str) -> None:
    if not isinstance(content, str):
        name = f"content of {with_article(message.role)} message"
        problem = f"{name}: expected a str, found {describe_type(content)}"
        raise ConversationError(problem)


def _listed(messages: Iterable[Message]) -> list[Message]:
    return list(messages)


def _length(content: str) -> str:
    return f"<{len(content)} characters>"


@attrs.frozen
class Message(Displayed):
    """One turn of a conversation.

    Attributes:
        role: Who speaks.
        content: What is said. The repr tells its length only: reprs end up in
            logs, and prompts must not.

    Raises:
        ConversationError: If there is no such role, or the content is no text.
    """

    role: Role = attrs.field(validator=_check_role)
    content: str = attrs.field(validator=_check_content, repr=_length)


@attrs.define
class Conversation(NotebookDisplayed):
    """Messages in the order in which they were said; it grows by the end.

    A conversation starts with system, developer or user. System and developer
    are followed by user, user by assistant, assistant by user or tool, tool by
    assistant or another tool.

    Attributes:
        messages: The messages so far. The list is a copy of the one given.

    Raises:
        ConversationError: If a message comes after one that it cannot follow.
    """

    messages: list[Message] = attrs.field(factory=list[Message], converter=_listed)

    def __attrs_post_init__(self) -> None:
        previous: Role | None = None
        for place, message in enumerate(self.messages):
            _check_turn(place, previous, message)
            previous = message.role

    @classmethod
    def from_prompts(
        cls, user_prompt: str, system_prompt: str | None = None
    ) -> Conversation:
        """A conversation of one user message, after a system message if given."""
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
        """The conversation as Markdown: a heading for each role, then its text."""
        return "\n".join(
            f"## {message.role.capitalize()}\n\n{message.content}\n"
            for message in self.messages
        )

    def to_pretty_string(self, *, width: int = 80, color: bool | None = True) -> str:
        """The conversation for a terminal: coloured roles, rules between turns.

        Control characters in the text are shown as symbols, never obeyed.

        Args:
            width: Columns at which the text wraps.
            color: Whether the string holds colours; None obeys `NO_COLOR` and
                `FORCE_COLOR`, and else asks whether stdout is a terminal.

        Raises:
            ConfigurationError: If *width* is below 1.
        """
        return rendering().to_string(self, width=width, color=color)

    def to_html(self) -> str:
        """The conversation as a page of its own: no script, nothing from elsewhere."""
        return rendering().html_page(self)


def as_conversation(
    asked: str | Conversation, system_prompt: str | None = None
) -> Conversation:
    """*asked* as a conversation of its own, which later changes do not reach.

    Raises:
        ConversationError: If *asked* is neither text nor a conversation, or
            holds no message.
    """
    if isinstance(asked, str):
        return Conversation.from_prompts(asked, system_prompt)
    if not isinstance(asked, Conversation):
        found = describe_type(asked)
        problem = f"expected a prompt (str) or a Conversation, found {found}"
        raise ConversationError(problem)
    if not asked.messages:
        problem = "expected at least one message, found none"
        raise ConversationError(problem)
    return Conversation(asked.messages)


def _check_turn(place: int, previous: Role | None, message: object) -> None:
    if not isinstance(message, Message):
        problem = f"message {place}: expected a Message, found {describe_type(message)}"
        raise ConversationError(problem)
    expected = _FOLLOWERS[previous]
    if message.role not in expected:
        where = "at the start" if previous is None else f"after {previous}"
        problem = (
            f"message {place}: expected {' or '.join(expected)} {where}, "
            f"found {message.role}"
        )
        raise ConversationError(problem)
