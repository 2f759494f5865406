"""Messages in their order, and what may follow what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import attrs

from limin.errors import ConversationError
from limin.values.checks import describe_type
from limin.values.display import NotebookDisplayed, rendering
from limin.values.messages import Message, Role
from limin.values.openai_messages import message_from_openai, message_to_openai
from limin.values.tools import ToolCall

# The roles that may follow each role; None stands for the start. A model may call
# several tools at once, so one tool's result may follow another's.
_FOLLOWERS: dict[Role | None, tuple[Role, ...]] = {
    None: ("system", "developer", "user"),
    "system": ("user",),
    "developer": ("user",),
    "user": ("assistant",),
    "assistant": ("user", "tool", "function"),
    "tool": ("assistant", "tool"),
    "function": ("assistant",),
}


def _to_list(messages: Iterable[Message]) -> list[Message]:
    if isinstance(messages, (str, Mapping)) or not isinstance(messages, Iterable):
        kind = describe_type(cast("object", messages))
        problem = f"messages: expected a sequence of Message, found {kind}"
        raise ConversationError(problem)
    return list(messages)


def _to_metadata(metadata: Mapping[str, object] | None) -> Mapping[str, object]:
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        kind = describe_type(metadata)
        problem = f"metadata: expected a mapping or None, found {kind}"
        raise ConversationError(problem)
    return dict(metadata)


@attrs.define(repr=False)
class Conversation(NotebookDisplayed):
    """Messages in their order.

    They may have any order of roles: which one is accepted is for the server to decide.
    Only `add_message` checks that its message can follow the last one.

    Attributes:
        messages: The messages so far. The list is a copy of the argument.
        metadata: Anything that belongs to the conversation, such as an id of your own.
            It is never sent; completions have it in their `conversation`, and
            checkpoints keep it, which JSON must be able to hold then. A copy of the
            argument.

    Raises:
        ConversationError: If a message is no `Message`.
    """

    messages: list[Message] = attrs.field(factory=list[Message], converter=_to_list)
    metadata: Mapping[str, object] = attrs.field(
        default=None, kw_only=True, converter=_to_metadata
    )

    def __attrs_post_init__(self) -> None:
        for index, message in enumerate(self.messages):
            _check_type(index, message)

    def __repr__(self) -> str:
        """Return the messages' reprs, and the number of entries in the metadata."""
        n_entries = len(self.metadata)
        count = "1 entry" if n_entries == 1 else f"{n_entries} entries"
        metadata = f", metadata=<{count}>" if self.metadata else ""
        return f"Conversation(messages={self.messages!r}{metadata})"

    @classmethod
    def from_prompts(
        cls, user_prompt: str, system_prompt: str | None = None
    ) -> Conversation:
        """Return a conversation of one user message, after the system message if any."""
        messages = [Message("user", user_prompt)]
        if system_prompt is not None:
            messages.insert(0, Message("system", system_prompt))
        return cls(messages)

    @classmethod
    def from_openai(
        cls,
        messages: Iterable[Mapping[str, object]],
        *,
        metadata: Mapping[str, object] | None = None,
    ) -> Conversation:
        """Return the conversation in a list of *messages* as OpenAI's API has them.

        Nothing is lost: `to_openai` gives the same list back, whatever fields it has.

        Raises:
            ConversationError: If a message is no object, or its role is not known.
        """
        converted = [
            message_from_openai(message, index)
            for index, message in enumerate(_to_list(cast("Iterable[Message]", messages)))
        ]
        return cls(converted, metadata=metadata)

    def to_openai(self) -> list[dict[str, object]]:
        """Return the messages as OpenAI's API takes them: plain JSON values, a copy."""
        return [message_to_openai(message) for message in self.messages]

    def texts(self) -> list[str]:
        """Return every text in the messages that no error may repeat, arguments too."""
        return [text for message in self.messages for text in message.texts()]

    def add_message(self, message: Message) -> None:
        """Append *message*, if it can follow the last one.

        A conversation starts with system, developer or user. System and developer are
        followed by user, user by assistant, assistant by user or tool, tool by assistant
        or another tool. If the assistant called tools, each of its calls is answered by
        a message of a tool, with the id of the call, before the next turn.

        Raises:
            ConversationError: If it cannot follow.
        """
        _check_turn(self.messages, message)
        self.messages.append(message)

    def to_markdown(self) -> str:
        """Return the conversation as Markdown: each message under its role as heading.

        Texts stay Markdown, links and pictures too. HTML in them is shown and has no
        effect. A text that has headings of the first two levels, or code that does not
        end, is quoted as a whole.
        """
        return rendering().markdown_text(self)

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

    def to_html(self, *, images: bool = False) -> str:
        """Return the conversation as an HTML page without scripts or external resources.

        Args:
            images: Whether the page holds the pictures whose bytes the messages have
                (png, jpeg, gif, webp), and not only their descriptions.

        Raises:
            ConfigurationError: If *images* is neither True nor False.
        """
        return rendering().html_page(self, images=images)


def as_conversation(
    prompt: str | Conversation, system_prompt: str | None = None
) -> Conversation:
    """Return *prompt* as a new conversation, which later changes do not reach.

    *system_prompt* stands before a text. A conversation has its own system message, or
    none on purpose, and stays as it is.

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
    return Conversation(prompt.messages, metadata=prompt.metadata)


def _check_type(index: int, message: object) -> None:
    if not isinstance(message, Message):
        problem = f"message {index}: expected a Message, found {describe_type(message)}"
        raise ConversationError(problem)


def _check_turn(messages: list[Message], message: Message) -> None:
    index = len(messages)
    _check_type(index, message)
    previous = messages[-1].role if messages else None
    expected, position = _FOLLOWERS[previous], f"after {previous}"
    open_calls = _find_open_calls(messages)
    if open_calls:
        expected, position = ("tool",), "with the result of a call"
    if message.role not in expected:
        position = position if messages else "at the start"
        expectation = f"expected {' or '.join(expected)} {position}"
        problem = f"message {index}: {expectation}, found {message.role}"
        raise ConversationError(problem)
    if message.role == "tool" and open_calls and message.tool_call_id not in open_calls:
        found = "none" if message.tool_call_id is None else "another id"
        expectation = "expected the tool_call_id of a call that has no result yet"
        problem = f"message {index}: {expectation}, found {found}"
        raise ConversationError(problem)


def _find_open_calls(messages: list[Message]) -> set[str]:
    """Return the ids of the last calls that no message of a tool has answered yet."""
    answered: set[str | None] = set()
    for message in reversed(messages):
        if message.role != "tool":
            return {call_id for call_id in _call_ids(message) if call_id not in answered}
        answered.add(message.tool_call_id)
    return set()


def _call_ids(message: Message) -> list[str]:
    ids = [
        call.id if isinstance(call, ToolCall) else call.get("id")
        for call in message.tool_calls
    ]
    return [call_id for call_id in ids if isinstance(call_id, str)]
