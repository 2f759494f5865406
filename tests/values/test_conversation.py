from typing import cast

import numpy as np
import pandas as pd
import pytest

from limin.errors import ConversationError
from limin.values.conversation import Conversation, as_conversation
from limin.values.messages import Message, Role

PLAN = "my secret plan for tonight"

ROLES: tuple[Role, ...] = ("system", "developer", "user", "assistant", "tool")

# Whose turn may come after whose, written out once more; "" is the start.
ALLOWED = {
    ("", "system"),
    ("", "developer"),
    ("", "user"),
    ("system", "user"),
    ("developer", "user"),
    ("user", "assistant"),
    ("assistant", "user"),
    ("assistant", "tool"),
    ("tool", "assistant"),
    ("tool", "tool"),
}

# A conversation that ends with each role.
ENDING: dict[str, tuple[Role, ...]] = {
    "": (),
    "system": ("system",),
    "developer": ("developer",),
    "user": ("user",),
    "assistant": ("user", "assistant"),
    "tool": ("user", "assistant", "tool"),
}

PAIRS = [(previous, role) for previous in ENDING for role in ROLES]


def messages_of(*roles: Role) -> list[Message]:
    """One message of each role, with its index in its text."""
    return [Message(role, f"text {index}") for index, role in enumerate(roles)]


@pytest.mark.parametrize("role", ROLES)
def test_every_role_speaks(role: Role) -> None:
    """Each of the five roles may stand in a message."""
    message = Message(role, "hello")
    assert (message.role, message.content) == (role, "hello")


@pytest.mark.parametrize(
    ("role", "found"),
    [
        ("human", "'human'"),
        ("User", "'User'"),
        ("", "another str"),
        (PLAN, "another str"),
        ("a" * 21, "another str"),
        (None, "another NoneType"),
        (3, "another int"),
        (["user"], "another list"),
    ],
)
def test_no_other_role_speaks(role: Role, found: str) -> None:
    """A role that does not exist is refused, and the error lists those that do."""
    with pytest.raises(ConversationError) as caught:
        Message(role, "hello")
    assert str(caught.value) == (
        f"role: expected one of system, developer, user, assistant, tool; found {found}"
    )


def test_swapped_role_and_content_stay_unseen() -> None:
    """Whoever swaps role and content does not find the prompt in the error."""
    with pytest.raises(ConversationError) as caught:
        Message(PLAN, "user")  # type: ignore[arg-type]  # the mistake itself
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(caught.value)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "NoneType"),
        (b"secret", "bytes"),
        (["secret"], "list"),
        ({"text": "secret"}, "dict"),
    ],
)
def test_content_that_is_no_text_is_refused(content: str, found: str) -> None:
    """Only text can be content, and the error shows only the type of anything else."""
    with pytest.raises(ConversationError) as caught:
        Message("user", content)
    assert (
        str(caught.value) == f"content of a user message: expected a str, found a {found}"
    )


def test_content_of_an_assistant_that_is_no_text_is_refused() -> None:
    """Both articles of the message fit their nouns."""
    with pytest.raises(ConversationError) as caught:
        Message("assistant", 5)  # type: ignore[arg-type]  # the mistake itself
    assert str(caught.value) == (
        "content of an assistant message: expected a str, found an int"
    )


def test_message_cannot_change() -> None:
    """A message cannot be changed."""
    message = Message("user", "hello")
    with pytest.raises(AttributeError):
        message.content = "goodbye"  # type: ignore[misc]  # the mistake itself


def test_equal_messages() -> None:
    """Messages are equal, and hash alike, if role and content are."""
    assert Message("user", "hello") == Message("user", "hello")
    assert len({Message("user", "a"), Message("user", "a"), Message("user", "b")}) == 2


def test_repr_shows_only_the_length_of_a_prompt() -> None:
    """A prompt stays out of the reprs of a message and of its conversation."""
    message = Message("user", PLAN)
    assert repr(message) == "Message(role='user', content=<26 characters>)"
    assert repr(Conversation([message])) == f"Conversation(messages=[{message!r}])"


@pytest.mark.parametrize(("previous", "role"), PAIRS)
def test_turns(previous: str, role: Role) -> None:
    """A message may be added exactly where its role may follow the last one."""
    conversation = Conversation(messages_of(*ENDING[previous]))
    before = list(conversation.messages)
    message = Message(role, PLAN)
    if (previous, role) in ALLOWED:
        conversation.add_message(message)
        assert conversation.messages == [*before, message]
        return
    with pytest.raises(ConversationError) as caught:
        conversation.add_message(message)
    assert conversation.messages == before
    assert str(caught.value).startswith(f"message {len(before)}: expected ")
    assert str(caught.value).endswith(f", found {role}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("previous", "role"), PAIRS)
def test_turns_at_construction(previous: str, role: Role) -> None:
    """A list of messages is checked by the same rule as messages one by one."""
    messages = messages_of(*ENDING[previous], role)
    if (previous, role) in ALLOWED:
        assert Conversation(messages).messages == messages
        return
    with pytest.raises(ConversationError, match=f"found {role}$"):
        Conversation(messages)


def test_error_at_the_start() -> None:
    """The error of a wrong first message lists who may start."""
    with pytest.raises(ConversationError) as caught:
        Conversation([Message("assistant", PLAN)])
    assert str(caught.value) == (
        "message 0: expected system or developer or user at the start, found assistant"
    )


def test_error_in_the_middle() -> None:
    """The error of a wrong turn names its index and the role before it."""
    with pytest.raises(ConversationError) as caught:
        Conversation(messages_of("user", "assistant", "system"))
    assert str(caught.value) == (
        "message 2: expected user or tool after assistant, found system"
    )


def test_error_is_also_a_value_error() -> None:
    """Code that catches ValueError catches a wrong turn."""
    with pytest.raises(ValueError, match="message 1: expected assistant after user"):
        Conversation(messages_of("user", "user"))


def test_only_messages_make_a_conversation() -> None:
    """An item that is no message is refused, and its text is not shown."""
    with pytest.raises(ConversationError) as caught:
        Conversation([PLAN])  # type: ignore[list-item]  # the mistake itself
    assert str(caught.value) == "message 0: expected a Message, found a str"
    with pytest.raises(ConversationError, match="message 0: expected a Message, found a d"):
        Conversation().add_message({"role": "user"})  # type: ignore[arg-type]  # the same


def test_conversation_starts_empty() -> None:
    """A conversation of nothing grows from its first message."""
    conversation = Conversation()
    assert conversation.messages == []
    conversation.add_message(Message("user", "hello"))
    assert Conversation().messages == []
    assert len(conversation.messages) == 1


def test_conversation_copies_its_list() -> None:
    """What happens to the caller's list later does not reach the conversation."""
    messages = messages_of("user")
    conversation = Conversation(messages)
    messages.append(Message("user", "again"))
    assert conversation.messages == messages_of("user")
    conversation.add_message(Message("assistant", "yes"))
    assert messages[-1] == Message("user", "again")


def test_conversation_takes_any_iterable() -> None:
    """A generator of messages serves as well as a list."""
    conversation = Conversation(message for message in messages_of("user", "assistant"))
    assert conversation.messages == messages_of("user", "assistant")


def test_from_prompts() -> None:
    """Prompts become a user message, after a system message if there is one."""
    assert Conversation.from_prompts("hi").messages == [Message("user", "hi")]
    assert Conversation.from_prompts("hi", "be kind").messages == [
        Message("system", "be kind"),
        Message("user", "hi"),
    ]


def test_empty_system_prompt_is_one() -> None:
    """An empty system prompt is sent, since the caller gave it."""
    assert Conversation.from_prompts("hi", "").messages[0] == Message("system", "")


def test_to_markdown() -> None:
    """A conversation reads as Markdown, with a heading for each turn."""
    conversation = Conversation.from_prompts("Hi *there*", "Be kind.")
    assert conversation.to_markdown() == (
        "## System\n\nBe kind.\n\n## User\n\nHi *there*\n"
    )
    assert Conversation().to_markdown() == ""


def test_as_conversation_of_a_prompt() -> None:
    """A single prompt is a conversation of one message."""
    assert as_conversation("hi") == Conversation.from_prompts("hi")
    assert as_conversation("hi", "be kind") == Conversation.from_prompts("hi", "be kind")


def test_as_conversation_copies() -> None:
    """Messages that are added later do not change the copy."""
    asked = Conversation.from_prompts("hi")
    copied = as_conversation(asked)
    asked.add_message(Message("assistant", "hello"))
    assert copied == Conversation.from_prompts("hi")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, "a NoneType"),
        (b"secret", "a bytes"),
        ([Message("user", "secret")], "a list"),
        ({"role": "user", "content": "secret"}, "a dict"),
    ],
)
def test_as_conversation_refuses_other_types(value: str, found: str) -> None:
    """A value that is neither prompt nor conversation is refused by its type."""
    with pytest.raises(ConversationError) as caught:
        as_conversation(value)
    assert str(caught.value) == f"expected a prompt (str) or a Conversation, found {found}"


def test_as_conversation_refuses_an_empty_one() -> None:
    """There is no answer to nothing."""
    with pytest.raises(ConversationError) as caught:
        as_conversation(Conversation())
    assert str(caught.value) == "expected at least one message, found none"


def test_as_conversation_finds_messages_put_in_by_hand() -> None:
    """A wrong turn that was appended to the list itself is found before sending."""
    conversation = Conversation.from_prompts("hi")
    conversation.messages.append(Message("user", "again"))
    with pytest.raises(ConversationError, match="message 1: expected assistant"):
        as_conversation(conversation)


def test_to_pretty_string_wraps_at_its_width() -> None:
    """A terminal of twenty columns gets lines of at most twenty characters."""
    pretty = Conversation.from_prompts("one two three four five six").to_pretty_string(
        width=20
    )
    assert "one two three four \nfive six" in pretty


class Text(str):
    """A text whose `__str__` is another one, as that of an Enum's member is."""

    __slots__ = ()

    def __str__(self) -> str:
        return "another text"


@pytest.mark.parametrize("kind", [Text, np.str_])
def test_text_of_a_subclass(kind: type[str]) -> None:
    """Text is text, whatever its class; it is kept as Python's own."""
    message = Message(cast("Role", kind("user")), kind("hello"))
    assert message == Message("user", "hello")
    assert (type(message.role), type(message.content)) == (str, str)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (np.float64("nan"), "a float64"),
        (pd.NA, "an NAType"),
        (np.array(["a"]), "an ndarray"),
        (["a"], "a list"),
    ],
)
def test_content_of_another_type(content: str, found: str) -> None:
    """A missing value of a table is no text, and the article is a person's."""
    with pytest.raises(ConversationError) as caught:
        Message("assistant", content)
    assert str(caught.value) == (
        f"content of an assistant message: expected a str, found {found}"
    )
