import base64
import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limin.errors import ConversationError
from limin.values.configuration import ModelConfiguration
from limin.values.content import Audio, File, Image
from limin.values.conversation import Conversation
from limin.values.messages import Message
from limin.values.tools import ToolCall
from limin.wire.request import RequestEncoder

PNG = b"\x89PNG\r\n\x1a\n"
WAV = b"RIFF\x24\0\0\0WAVEfmt "
ROLES = "system, developer, user, assistant, tool, function"
NAMES = "expected a str as name of each field"
ENCODER = RequestEncoder.of(ModelConfiguration())


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def only(fields: dict[str, Any]) -> Message:
    """The message that *fields* become."""
    (message,) = Conversation.from_openai([fields]).messages
    return message


def user(content: object) -> dict[str, Any]:
    return {"role": "user", "content": content}


def part(kind: str, **fields: object) -> dict[str, Any]:
    return {"type": kind, kind: fields}


CALL = {"id": "a", "type": "function", "function": {"name": "b", "arguments": "{}"}}
TEXT = {"type": "text", "text": "hi"}
LINK = part("image_url", url="https://a.test/b.png")

# OpenAI's JSON, and the message that it becomes.
MESSAGES: list[tuple[dict[str, Any], Message]] = [
    (user("hi"), Message("user", "hi")),
    (user(None), Message("user", None)),
    ({"role": "user"}, Message("user", None, omit_content=True)),
    (user([]), Message("user", [])),
    (user([TEXT]), Message("user", [TEXT])),
    (user([TEXT, LINK]), Message("user", ["hi", Image("https://a.test/b.png")])),
    (
        user([TEXT, {"type": "video_url", "video_url": {}}]),
        Message("user", ["hi", {"type": "video_url", "video_url": {}}]),
    ),
    (
        user([part("image_url", url=data_url("image/png", PNG), detail="low")]),
        Message("user", [Image(PNG, detail="low")]),
    ),
    (
        user([part("input_audio", data=base64.b64encode(WAV).decode(), format="wav")]),
        Message("user", [Audio(WAV)]),
    ),
    (
        user([part("input_audio", data="SUQz", format="mp3")]),
        Message("user", [Audio(b"ID3")]),
    ),
    (
        user([part("input_audio", data="AAAA", format="flac")]),
        Message("user", [Audio(bytes(3), media_type="audio/flac")]),
    ),
    (user([part("file", file_id="f")]), Message("user", [File(file_id="f")])),
    (
        user([part("file", file_data=data_url("text/plain", b"hi"), filename="a")]),
        Message("user", [File(b"hi", media_type="text/plain", filename="a")]),
    ),
    (
        user([part("file", file_data="https://a.test/b.pdf")]),
        Message("user", [File("https://a.test/b.pdf")]),
    ),
    (
        {"role": "user", "content": "hi", "name": "Ann"},
        Message("user", "hi", name="Ann"),
    ),
    (
        {"role": "assistant", "content": None, "tool_calls": [CALL, {"id": "c"}]},
        Message("assistant", None, tool_calls=[ToolCall("a", "b", "{}"), {"id": "c"}]),
    ),
    (
        {"role": "tool", "content": "5", "tool_call_id": "a"},
        Message("tool", "5", tool_call_id="a"),
    ),
    (
        {"role": "function", "content": "5", "name": "b"},
        Message("function", "5", name="b"),
    ),
    (
        {"role": "assistant", "function_call": {"name": "b"}, "reasoning_content": "c"},
        Message(
            "assistant",
            None,
            omit_content=True,
            extra={"function_call": {"name": "b"}, "reasoning_content": "c"},
        ),
    ),
    # What an attribute cannot hold is in `extra`.
    (user(3), Message("user", None, omit_content=True, extra={"content": 3})),
    (
        user([TEXT, "hi"]),
        Message("user", None, omit_content=True, extra={"content": [TEXT, "hi"]}),
    ),
    (
        {
            "role": "user",
            "content": "",
            "name": None,
            "tool_call_id": 3,
            "tool_calls": [],
        },
        Message("user", "", extra={"name": None, "tool_call_id": 3, "tool_calls": []}),
    ),
    (
        {"role": "assistant", "content": "", "tool_calls": ["a"]},
        Message("assistant", "", extra={"tool_calls": ["a"]}),
    ),
    (
        {"role": "assistant", "content": "", "tool_calls": None},
        Message("assistant", "", extra={"tool_calls": None}),
    ),
]


@pytest.mark.parametrize(("fields", "message"), MESSAGES)
def test_message(fields: dict[str, Any], message: Message) -> None:
    """Each field goes where it belongs, and comes back."""
    assert only(fields) == message
    assert Conversation([message]).to_openai() == [fields]


# Parts that no class can hold without loss.
ODD_PARTS: list[dict[str, Any]] = [
    {},
    {"type": "text"},
    {"type": "text", "text": None},
    {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
    {"type": ["text"], "text": "hi"},
    {"type": "image_url", "image_url": "https://a.test"},
    {"type": "refusal", "refusal": "no"},
    {"type": "video_url", "video_url": {"url": "https://a.test"}},
    part("image_url"),
    part("image_url", url=None),
    part("image_url", url="no URL"),
    part("image_url", url="https://a.test", detail=None),
    part("image_url", url="https://a.test", detail=3),
    part("image_url", url="https://a.test", more=3),
    part("image_url", url="data:image/png;base64,"),
    part("image_url", url="data:image/png;base64,A"),
    part("image_url", url="data:image/png;base64,AAA"),
    part("image_url", url="data:image/png;base64,AA AA"),
    part("image_url", url="data:image/png;base64,AAB="),
    part("image_url", url="data:text/plain;base64,AAAA"),
    part("image_url", url="data:image/png;charset=a;base64,AAAA", more=1),
    part("input_audio", data="AAAA"),
    part("input_audio", data="AAAA", format=None),
    part("input_audio", data="AAAA", format="mpeg"),
    part("input_audio", data="AAAA", format="my format"),
    part("input_audio", data="https://a.test", format="wav"),
    part("input_audio", data=3, format="wav"),
    part("file"),
    part("file", filename="a"),
    part("file", file_id=None),
    part("file", file_id="a", filename=3),
    part("file", file_id="a", file_data="https://a.test"),
    part("file", file_data="AAAA", filename="a"),
]


@pytest.mark.parametrize("fields", ODD_PARTS)
def test_odd_part(fields: dict[str, Any]) -> None:
    """A part that no class can hold stays the mapping that it is."""
    message = only(user([fields]))
    assert message.content == (fields,)
    assert Conversation([message]).to_openai() == [user([fields])]


def test_data_url_with_a_parameter_stays_a_url() -> None:
    """Only bytes that come back to the letter are decoded."""
    url = "data:image/png;charset=a;base64,AAAA"
    assert only(user([part("image_url", url=url)])).content == (Image(url),)


def circle() -> dict[str, Any]:
    """A message that holds itself."""
    fields = user("secret")
    fields["again"] = fields
    return fields


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("secret", "message 1: expected an object, found a str"),
        (["secret"], "message 1: expected an object, found a list"),
        (None, "message 1: expected an object, found a NoneType"),
        (
            {"content": "secret"},
            f"message 1: role: expected one of {ROLES}; found another NoneType",
        ),
        (
            {"role": "human", "content": "secret"},
            f"message 1: role: expected one of {ROLES}; found 'human'",
        ),
        (
            circle(),
            "message 1: expected values that JSON can hold, found too deep a nesting",
        ),
        (
            {**user("hi"), 3: "secret"},
            f"message 1: extra of a message: {NAMES}, found an int",
        ),
    ],
    ids=["text", "list", "null", "no role", "role", "circle", "key"],
)
def test_object_that_is_no_message(fields: Any, problem: str) -> None:
    """The error names the message by its index, and shows nothing that was said."""
    with pytest.raises(ConversationError) as caught:
        Conversation.from_openai([user("hi"), fields])
    assert str(caught.value) == problem


def test_list_is_copied_both_ways() -> None:
    """Changes of the list do not reach the conversation, nor the other way."""
    messages = [{"role": "assistant", "content": [TEXT], "more": {"a": [1]}}]
    before = json.dumps(messages)
    conversation = Conversation.from_openai(messages, metadata={"id": 1})
    messages[0]["more"]["a"].append(2)  # type: ignore[index]  # a dict
    sent: Any = conversation.to_openai()
    assert json.dumps(sent) == before
    sent[0]["more"]["a"].append(3)
    sent[0]["content"][0]["text"] = "changed"
    assert json.dumps(conversation.to_openai()) == before
    assert conversation.metadata == {"id": 1}


@pytest.mark.parametrize("messages", ["hello", {"role": "user"}, None])
def test_what_is_no_list(messages: Any) -> None:
    """One message, or a text, is no list of messages."""
    with pytest.raises(ConversationError, match="messages: expected a sequence"):
        Conversation.from_openai(messages)


CHARACTERS = st.characters(exclude_categories=["Cs"])
WORDS = st.text(CHARACTERS, max_size=5)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=5,
)
URLS = st.sampled_from(
    [
        "https://a.test/b.png",
        data_url("image/png", PNG),
        data_url("text/plain", b"hi"),
        "data:image/png;base64,AAA",
        "AAAA",
    ]
)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of *fields*, each as a rule of its kind, and other fields."""
    known = st.fixed_dictionaries({}, optional={n: s | JSON for n, s in fields.items()})
    return st.tuples(known, st.dictionaries(WORDS, JSON, max_size=1)).map(
        lambda pair: pair[1] | pair[0]
    )


PARTS = objects(
    type=st.sampled_from(["text", "image_url", "input_audio", "file", "video_url"]),
    text=WORDS,
    image_url=objects(url=URLS, detail=WORDS),
    input_audio=objects(data=URLS, format=st.sampled_from(["wav", "mp3", "flac"])),
    file=objects(file_data=URLS, file_id=WORDS, filename=WORDS),
)
CALLS = objects(
    id=WORDS,
    type=st.just("function"),
    function=objects(name=WORDS, arguments=WORDS),
)
MESSAGE = st.builds(
    lambda role, fields: {**fields, "role": role},
    st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"]),
    objects(
        content=WORDS | st.lists(PARTS, max_size=2),
        name=WORDS,
        tool_calls=st.lists(CALLS, max_size=2),
        tool_call_id=WORDS,
        function_call=objects(name=WORDS, arguments=WORDS),
    ),
)


@given(messages=st.lists(MESSAGE, max_size=3))
@example(messages=[fields for fields, _ in MESSAGES])
@example(messages=[user(ODD_PARTS)])
def test_nothing_is_lost(messages: list[dict[str, Any]]) -> None:
    """What goes in comes out, and is sent, whatever its fields; 1 is not 1.0 or True."""
    expected = json.dumps(messages, sort_keys=True)
    conversation = Conversation.from_openai(messages)
    assert json.dumps(conversation.to_openai(), sort_keys=True) == expected
    sent = json.loads(ENCODER.encode(conversation))["messages"]
    assert json.dumps(sent, sort_keys=True) == expected
    assert Conversation.from_openai(conversation.to_openai()) == conversation


@pytest.mark.parametrize(
    "number", [math.nan, math.inf, 10**5000], ids=["nan", "infinity", "huge"]
)
def test_number_that_json_cannot_hold(number: float) -> None:
    """Python's own reader takes NaN, and huge numbers; they come back, and are not sent."""
    conversation = Conversation.from_openai([{"role": "user", "more": number}])
    assert conversation.to_openai() == [{"role": "user", "more": number}]
    with pytest.raises(ConversationError) as caught:
        ENCODER.encode(conversation)
    assert str(caught.value) == (
        "message 0: expected values that JSON can hold, found another one"
    )
