import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limin.errors import ConfigurationError, ConversationError
from limin.values.configuration import ModelConfiguration
from limin.values.content import File, Image
from limin.values.conversation import Conversation
from limin.values.messages import Message, Role
from limin.values.tools import Tool, ToolCall
from limin.wire.request import RequestEncoder

HELLO = Conversation.from_prompts("hello")
WEATHER = Tool("weather", "Tell the weather.", {"type": "object"}, strict=True)


def encoded(configuration: ModelConfiguration, conversation: Conversation = HELLO) -> Any:
    """The body that *configuration* sends, as the server's parser reads it."""
    return json.loads(RequestEncoder.of(configuration).encode(conversation))


def test_smallest_request() -> None:
    """Fields that are not set are absent, not null: some servers refuse a null."""
    body = encoded(ModelConfiguration(model="m", temperature=None))
    assert body == {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def test_default_request() -> None:
    """By default the model and the temperature are sent, and nothing else."""
    assert encoded(ModelConfiguration()) == {
        "model": "gpt-4o",
        "temperature": 0.7,
        "messages": [{"role": "user", "content": "hello"}],
    }


def test_every_field() -> None:
    """Each field goes out under the name that servers know it by."""
    configuration = ModelConfiguration(
        model="m",
        temperature=0,
        max_tokens=16,
        top_p=0.5,
        stop=["a", "b"],
        seed=0,
        presence_penalty=-1,
        frequency_penalty=0.0,
        log_probs=True,
        top_log_probs=0,
        max_completion_tokens=32,
        reasoning_effort="low",
        logit_bias={5: -100},
        tools=[WEATHER, {"type": "web_search"}],
        tool_choice="weather",
        parallel_tool_calls=False,
        extra_body={"min_p": 0.1, "chat_template_kwargs": {"think": None}},
    )
    assert encoded(configuration) == {
        "model": "m",
        "temperature": 0,
        "max_tokens": 16,
        "top_p": 0.5,
        "stop": ["a", "b"],
        "seed": 0,
        "presence_penalty": -1,
        "frequency_penalty": 0.0,
        "logprobs": True,
        "top_logprobs": 0,
        "max_completion_tokens": 32,
        "reasoning_effort": "low",
        "logit_bias": {"5": -100},
        "tools": [WEATHER.to_openai(), {"type": "web_search"}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "min_p": 0.1,
        "chat_template_kwargs": {"think": None},
        "messages": [{"role": "user", "content": "hello"}],
    }


def test_one_stop_is_text() -> None:
    """A single stop is sent as the text that the caller gave."""
    assert encoded(ModelConfiguration(stop="\n"))["stop"] == "\n"


def test_extra_body_wins() -> None:
    """A field of `extra_body` replaces limin's own, also by null."""
    configuration = ModelConfiguration(extra_body={"temperature": None, "model": "b"})
    body = encoded(configuration)
    assert (body["temperature"], body["model"]) == (None, "b")
    assert list(body).count("model") == 1


def test_log_probs_that_are_not_wanted_are_not_mentioned() -> None:
    """A server that knows no log probabilities is not asked about them."""
    assert "logprobs" not in encoded(ModelConfiguration(log_probs=False))


@pytest.mark.parametrize(
    ("configuration", "asks"),
    [
        (ModelConfiguration(), False),
        (ModelConfiguration(log_probs=True), True),
        (ModelConfiguration(extra_body={"logprobs": True}), True),
        (ModelConfiguration(extra_body={"logprobs": 5}), True),
        (ModelConfiguration(log_probs=True, extra_body={"logprobs": None}), False),
    ],
)
def test_asks_log_probs(configuration: ModelConfiguration, *, asks: bool) -> None:
    """The encoder knows whether its requests ask for log probabilities."""
    assert RequestEncoder.of(configuration).asks_log_probs is asks


@pytest.mark.parametrize(
    ("configuration", "top"),
    [
        (ModelConfiguration(), None),
        (ModelConfiguration(log_probs=True), None),
        (ModelConfiguration(log_probs=True, top_log_probs=0), 0),
        (ModelConfiguration(log_probs=True, top_log_probs=5), 5),
        (ModelConfiguration(log_probs=True, top_log_probs=-1), -1),
        (ModelConfiguration(extra_body={"logprobs": True, "top_logprobs": 3}), 3),
        (
            ModelConfiguration(
                log_probs=True, top_log_probs=5, extra_body={"top_logprobs": 2}
            ),
            2,
        ),
        (ModelConfiguration(extra_body={"top_logprobs": "3"}), None),
        (ModelConfiguration(extra_body={"top_logprobs": True}), None),
    ],
)
def test_top_log_probs(configuration: ModelConfiguration, top: int | None) -> None:
    """The encoder knows how many alternatives its requests ask for."""
    assert RequestEncoder.of(configuration).top_log_probs == top


def test_encoder_serves_many_conversations() -> None:
    """One encoder makes the body of each conversation of a batch."""
    encoder = RequestEncoder.of(ModelConfiguration())
    prompts = ["one", "two", "three"]
    bodies = [json.loads(encoder.encode(Conversation.from_prompts(p))) for p in prompts]
    assert [body["messages"][0]["content"] for body in bodies] == prompts
    assert {body["model"] for body in bodies} == {"gpt-4o"}


CIRCULAR: dict[str, object] = {}
CIRCULAR["again"] = CIRCULAR


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        {"secret"},
        b"secret",
        CIRCULAR,
        {("secret", 1): 2},
        HELLO,
    ],
    ids=["nan", "infinity", "set", "bytes", "circle", "key", "object"],
)
def test_extra_body_that_json_cannot_hold(value: object) -> None:
    """Values that JSON cannot hold are refused before the request, and not shown."""
    configuration = ModelConfiguration(extra_body={"field": value})
    with pytest.raises(ConfigurationError) as caught:
        RequestEncoder.of(configuration)
    assert str(caught.value).startswith("extra_body: expected values that JSON can hold; ")
    assert "secret" not in str(caught.value)


def test_extra_body_that_is_too_deep() -> None:
    """Values that are nested too deeply are refused too."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    configuration = ModelConfiguration(extra_body={"field": deep})
    with pytest.raises(ConfigurationError, match="expected values that JSON can hold"):
        RequestEncoder.of(configuration)
    while deep:  # Python before 3.12 crashes freeing such a list in one go.
        deep = deep.pop()  # type: ignore[assignment]  # a list of lists


def test_tool_that_json_cannot_hold() -> None:
    """The option with such a value is named, and the value is not shown."""
    tool = Tool("weather", "Tell the weather.", {"default": {"secret"}})
    configuration = ModelConfiguration(tools=[tool], extra_body={"min_p": 1})
    with pytest.raises(ConfigurationError) as caught:
        RequestEncoder.of(configuration)
    assert str(caught.value).startswith("tools: expected values that JSON can hold; ")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("configuration", "most"),
    [
        (ModelConfiguration(), None),
        (ModelConfiguration(max_tokens=5), 5),
        (ModelConfiguration(max_completion_tokens=7), 7),
        (ModelConfiguration(max_tokens=5, max_completion_tokens=7), 7),
        (ModelConfiguration(max_tokens=5, extra_body={"max_tokens": "6"}), None),
    ],
)
def test_longest_answer(configuration: ModelConfiguration, most: int | None) -> None:
    """The encoder knows how long an answer may be, under either name."""
    assert RequestEncoder.of(configuration).max_tokens == most


PICTURE = Image(b"GIF89a")
PICTURE_AS_SENT = {
    "type": "image_url",
    "image_url": {"url": "data:image/gif;base64,R0lGODlh"},
}

# A message, and what is sent for it.
SENT: list[tuple[Message, dict[str, Any]]] = [
    (Message("user", ["a", "b"]), {"role": "user", "content": "a\nb"}),
    (Message("user", ["a"], name="Ann"), {"role": "user", "content": "a", "name": "Ann"}),
    (Message("user", None), {"role": "user", "content": None}),
    (Message("user", []), {"role": "user", "content": []}),
    (Message("user", None, omit_content=True), {"role": "user"}),
    (
        Message("user", ["a", PICTURE, {"type": "b", "c": 10**30}]),
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                PICTURE_AS_SENT,
                {"type": "b", "c": 10**30},
            ],
        },
    ),
    (
        Message("tool", "5", tool_call_id="a", extra={"more": [None, {"b": True}]}),
        {"role": "tool", "content": "5", "tool_call_id": "a", "more": [None, {"b": True}]},
    ),
    (
        Message("assistant", None, tool_calls=[ToolCall("a", "b", "{}"), {"id": "c"}]),
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "function": {"name": "b", "arguments": "{}"},
                },
                {"id": "c"},
            ],
        },
    ),
]


@pytest.mark.parametrize(("message", "sent"), SENT)
def test_message(message: Message, sent: dict[str, Any]) -> None:
    """Text alone is sent as text, as some templates take no parts; the rest as it is."""
    conversation = Conversation([message], metadata={"id": "never sent"})
    body = RequestEncoder.of(ModelConfiguration()).encode(conversation)
    assert json.loads(body)["messages"] == [sent] == conversation.to_openai()
    assert b"never" not in body


def test_picture_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second request about a picture does not encode it again."""
    encoder, image = RequestEncoder.of(ModelConfiguration()), Image(b"GIF89a")
    first = encoder.encode(Conversation([Message("user", ["hello", image])]))
    monkeypatch.setattr(Image, "to_openai", None)
    assert encoder.encode(Conversation([Message("user", ["hello", image])])) == first


HALF = "my secret \ud800"


@pytest.mark.parametrize(
    "message",
    [
        Message("user", [HALF, PICTURE]),
        Message("user", ["hi", {"type": HALF}]),
        Message("user", [File(b"hi", media_type="text/plain", filename=HALF)]),
        Message("user", "hi", name=HALF),
        Message("user", HALF, name="Ann"),
        Message("user", "hi", extra={HALF: 1}),
        Message("assistant", None, tool_calls=[ToolCall("a", "b", HALF)]),
    ],
    ids=["text", "mapping", "file", "name", "content", "extra", "call"],
)
def test_half_a_surrogate_pair_in_any_field(message: Message) -> None:
    """Wherever such a text stands, its message is named, and it is not shown."""
    with pytest.raises(ConversationError) as caught:
        RequestEncoder.of(ModelConfiguration()).encode(Conversation([message]))
    assert str(caught.value) == (
        "message 0: expected Unicode text, found half of a surrogate pair (U+D800)"
    )


@pytest.mark.parametrize(
    "message",
    [
        Message("user", ["hi", {"data": b"secret"}]),
        Message("user", ["hi", {"data": math.nan}]),
        Message("user", "hi", extra={"data": {"secret"}}),
        Message("assistant", None, tool_calls=[{"data": HELLO}]),
    ],
    ids=["bytes", "nan", "set", "object"],
)
def test_message_that_json_cannot_hold(message: Message) -> None:
    """A value that JSON cannot hold is refused with its message, and not shown."""
    conversation = Conversation([Message("user", "hi"), message])
    with pytest.raises(ConversationError) as caught:
        RequestEncoder.of(ModelConfiguration()).encode(conversation)
    assert str(caught.value) == (
        "message 1: expected values that JSON can hold, found another one"
    )


@pytest.mark.parametrize("code", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_half_a_surrogate_pair(code: int) -> None:
    """Text that UTF-8 cannot carry is refused with its position, and not shown."""
    surrogate = chr(code)
    conversation = Conversation(
        [Message("system", "fine"), Message("user", f"my secret {surrogate}")]
    )
    with pytest.raises(ConversationError) as caught:
        RequestEncoder.of(ModelConfiguration()).encode(conversation)
    assert str(caught.value) == (
        "message 1: expected Unicode text, found half of a surrogate pair "
        f"(U+{code:04X}) at character 10"
    )


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TURNS: st.SearchStrategy[list[Role]] = st.sampled_from(
    [
        ["user"],
        ["system", "user"],
        ["developer", "user", "assistant", "user"],
        ["system", "user", "assistant", "tool", "tool", "assistant"],
    ]
)


@given(roles=TURNS, data=st.data())
def test_every_conversation_survives(roles: list[Role], data: st.DataObject) -> None:
    """The server reads each message as it was said, whatever characters it holds."""
    conversation = Conversation([Message(role, data.draw(TEXT)) for role in roles])
    assert encoded(ModelConfiguration(), conversation)["messages"] == [
        {"role": message.role, "content": message.content}
        for message in conversation.messages
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, width=32) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
).filter(lambda value: "Infinity" not in json.dumps(value))


@given(extra=st.dictionaries(TEXT, JSON, max_size=4), stop=st.lists(TEXT, max_size=3))
@example(extra={"": None, '"': "}"}, stop=['"],'])
def test_every_parameter_survives(extra: dict[str, Any], stop: list[str]) -> None:
    """The server reads each field as it was given, whatever characters it holds."""
    extra = {
        name: value for name, value in extra.items() if name not in {"messages", "stream"}
    }
    body = encoded(ModelConfiguration(temperature=None, stop=stop, extra_body=extra))
    own = {"model": "gpt-4o", "stop": stop}
    assert body == own | extra | {"messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize(
    ("options", "n_asked", "n_sent"),
    [
        ({"log_probs": True, "top_log_probs": 0}, 0, 1),
        ({"extra_body": {"logprobs": True, "top_logprobs": 0}}, 0, 1),
        ({"log_probs": True, "top_log_probs": 1}, 1, 1),
        ({"log_probs": True, "top_log_probs": -1}, -1, -1),
        ({"log_probs": True}, None, None),
        ({"extra_body": {"top_logprobs": 0}}, 0, 0),
        ({"extra_body": {"logprobs": True, "top_logprobs": False}}, False, False),
    ],
)
def test_no_alternatives(
    options: dict[str, Any], n_asked: int | None, n_sent: int | None
) -> None:
    """llama.cpp sends no log probabilities for 0 alternatives, so one is asked for.

    Checkpoints know a request by what the user asks for, which stays the same.
    """
    encoder = RequestEncoder.of(ModelConfiguration(**options))
    body = encoder.encode(Conversation.from_prompts("hi"))
    sent = encoder.as_sent(body)
    assert json.loads(body).get("top_logprobs") == n_asked
    assert json.loads(sent) == {
        **json.loads(body),
        **({"top_logprobs": 1} if n_sent == 1 else {}),
    }
    assert encoder.as_sent(b"{}") == b"{}"
