from typing import Any

import pytest

from limin.errors import ConversationError
from limin.values.content import Image
from limin.values.conversation import Conversation, as_conversation
from limin.values.messages import Message, Role
from limin.values.tools import ToolCall

PLAN = "my secret plan for tonight"

ROLES: tuple[Role, ...] = (
    "system",
    "developer",
    "user",
    "assistant",
    "tool",
    "function",
)

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
    ("assistant", "function"),
    ("function", "assistant"),
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
    "function": ("user", "assistant", "function"),
}

PAIRS = [(previous, role) for previous in ENDING for role in ROLES]


def messages_of(*roles: Role) -> list[Message]:
    """One message of each role, with its index in its text."""
    return [Message(role, f"text {index}") for index, role in enumerate(roles)]


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
def test_any_order_at_construction(previous: str, role: Role) -> None:
    """Conversations of others have any order; which one is fine, the server decides."""
    messages = messages_of(*ENDING[previous], role)
    assert Conversation(messages).messages == messages
    assert as_conversation(Conversation(messages)).messages == messages


def test_error_at_the_start() -> None:
    """The error of a wrong first message lists who may start."""
    with pytest.raises(ConversationError) as caught:
        Conversation().add_message(Message("assistant", PLAN))
    assert str(caught.value) == (
        "message 0: expected system or developer or user at the start, found assistant"
    )


def test_error_in_the_middle() -> None:
    """The error of a wrong turn names its index and the role before it."""
    conversation = Conversation(messages_of("user", "assistant"))
    with pytest.raises(ConversationError) as caught:
        conversation.add_message(Message("system", PLAN))
    assert str(caught.value) == (
        "message 2: expected user or tool or function after assistant, found system"
    )


def test_error_is_also_a_value_error() -> None:
    """Code that catches ValueError catches a wrong turn."""
    conversation = Conversation(messages_of("user"))
    with pytest.raises(ValueError, match="message 1: expected assistant after user"):
        conversation.add_message(Message("user", "again"))


def calling(*ids: str) -> Conversation:
    """A conversation that ends with calls of these ids, which nobody has answered."""
    calls = [ToolCall(call_id, "find", "{}") for call_id in ids]
    return Conversation(
        [Message("user", "hi"), Message("assistant", None, tool_calls=calls)]
    )


def result(call_id: str | None) -> Message:
    return Message("tool", PLAN, tool_call_id=call_id)


def test_each_call_is_answered_before_the_next_turn() -> None:
    """Servers refuse a conversation in which a call has no result."""
    conversation = calling("a", "b")
    for role in ROLES:
        if role != "tool":
            with pytest.raises(ConversationError) as caught:
                conversation.add_message(Message(role, PLAN))
            assert str(caught.value) == (
                f"message 2: expected tool with the result of a call, found {role}"
            )
    conversation.add_message(result("b"))
    with pytest.raises(ConversationError, match="message 3: expected tool with the result"):
        conversation.add_message(Message("assistant", PLAN))
    conversation.add_message(result("a"))
    conversation.add_message(Message("assistant", PLAN))
    assert len(conversation.messages) == 5


@pytest.mark.parametrize(
    ("call_id", "found"), [(None, "none"), ("my secret", "another id"), ("a", "another id")]
)
def test_result_of_no_call(call_id: str | None, found: str) -> None:
    """A result that belongs to no open call is refused, and its id is not shown."""
    conversation = calling("a", "b")
    conversation.add_message(result("a"))
    with pytest.raises(ConversationError) as caught:
        conversation.add_message(result(call_id))
    assert str(caught.value) == (
        "message 3: expected the tool_call_id of a call that has no result yet, "
        f"found {found}"
    )


def test_calls_that_are_mappings() -> None:
    """A call that is kept as it came is open, too, if it has an id."""
    calls = [{"id": "a", "type": "custom"}, {"id": None}, {}]
    conversation = Conversation([Message("assistant", None, tool_calls=calls)])
    with pytest.raises(ConversationError, match="message 1: expected tool with the result"):
        conversation.add_message(Message("user", "hi"))
    conversation.add_message(result("a"))
    conversation.add_message(result("c"))
    conversation.add_message(Message("assistant", "hi"))


def test_results_without_calls() -> None:
    """Who keeps no calls may still add results, as before."""
    conversation = Conversation([result("a")])
    conversation.add_message(result(None))
    assert len(conversation.messages) == 2


@pytest.mark.parametrize(
    ("messages", "found"),
    [("hello", "a str"), ({"role": "user"}, "a dict"), (3, "an int"), (None, "a NoneType")],
)
def test_messages_that_are_none(messages: Any, found: str) -> None:
    """A prompt, or one message of OpenAI's shape, is no list of messages."""
    with pytest.raises(ConversationError) as caught:
        Conversation(messages)
    assert str(caught.value) == f"messages: expected a sequence of Message, found {found}"


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


def test_texts_of_all_messages() -> None:
    """They are those that no message about a conversation may repeat."""
    assert Conversation.from_prompts("hi", "be kind").texts() == ["be kind", "hi"]
    assert Conversation([Message("assistant", None)]).texts() == []


def test_system_prompt_is_not_added_to_a_conversation() -> None:
    """It has its own system message, or none on purpose."""
    for conversation in (
        Conversation.from_prompts("hi"),
        Conversation.from_prompts("hi", "be rude"),
    ):
        assert as_conversation(conversation, "be kind") == conversation


def test_as_conversation_copies() -> None:
    """Messages that are added later do not change the copy."""
    asked = Conversation.from_prompts("hi")
    copied = as_conversation(asked)
    asked.add_message(Message("assistant", "hello"))
    assert copied == Conversation.from_prompts("hi")


def test_metadata() -> None:
    """Metadata is a copy, stays with the conversation, and is shown by its length."""
    metadata = {"id": PLAN, "more": [1]}
    conversation = Conversation([Message("user", "hi")], metadata=metadata)
    metadata["id"] = "changed"
    kept = {"id": PLAN, "more": [1]}
    assert conversation.metadata == as_conversation(conversation).metadata == kept
    assert as_conversation(conversation).metadata is not conversation.metadata
    assert repr(conversation) == (
        f"Conversation(messages={conversation.messages!r}, metadata=<2 entries>)"
    )
    assert "metadata=<1 entry>" in repr(Conversation(metadata={PLAN: 1}))
    assert Conversation().metadata == {}
    assert conversation.to_openai() == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("metadata", [PLAN, [PLAN], 3])
def test_metadata_that_is_none(metadata: Any) -> None:
    """Metadata has names, and what has none is refused by its type."""
    with pytest.raises(ConversationError) as caught:
        Conversation(metadata=metadata)
    assert str(caught.value).startswith("metadata: expected a mapping or None, found a")
    assert "secret" not in str(caught.value)


def test_pictures_stay_out_of_the_repr() -> None:
    """A conversation with parts shows their kinds."""
    conversation = Conversation([Message("user", [PLAN, Image("https://a.test/secret")])])
    assert repr(conversation) == (
        "Conversation(messages=[Message(role='user', "
        "content=[<26 characters>, <image by URL>])])"
    )


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


def test_to_pretty_string_wraps_at_its_width() -> None:
    """A terminal of twenty columns gets lines of at most twenty characters."""
    pretty = Conversation.from_prompts("one two three four five six").to_pretty_string(
        width=20
    )
    assert "one two three four \nfive six" in pretty
