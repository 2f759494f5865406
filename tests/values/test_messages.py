from typing import Any, cast

import attrs
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.errors import ConversationError
from limin.values.content import Audio, File, Image
from limin.values.messages import Message, Role
from limin.values.tools import ToolCall

PLAN = "my secret plan for tonight"
LINK = "https://pictures.test/secret.png"
TOO_DEEP = "expected values that JSON can hold, found too deep a nesting"
CALL = ToolCall("call-1", "find", '{"a": "secret"}')

ROLES: tuple[Role, ...] = (
    "system",
    "developer",
    "user",
    "assistant",
    "tool",
    "function",
)


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
        "role: expected one of system, developer, user, assistant, tool, function; "
        f"found {found}"
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
        (b"secret", "a bytes"),
        (bytearray(b"secret"), "a bytearray"),
        ({"text": "secret"}, "a dict"),
        ({"secret"}, "a set"),
        (Image(LINK), "an Image"),
        (3, "an int"),
        (["secret", 3], "an int"),
        (["secret", ["secret"]], "a list"),
        ([None], "a NoneType"),
        (np.float64("nan"), "a float64"),
        (pd.NA, "an NAType"),
        (np.array([1]), "an int64"),
    ],
)
def test_content_of_another_type(content: Any, found: str) -> None:
    """The error shows only the type of what is no content, or of the wrong part."""
    with pytest.raises(ConversationError) as caught:
        Message("assistant", content)
    assert str(caught.value) == (
        "content of an assistant message: expected a str or a sequence of str, Image, "
        f"Audio, File and mappings, found {found}"
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


def test_parts_are_a_tuple() -> None:
    """A list that grows later does not change the message, and any iterable serves."""
    parts: list[Any] = ["What is this?", Image(LINK), {"type": "video_url"}]
    message = Message("user", parts)
    kept = tuple(parts)
    parts.append("more")
    assert message.content == kept == Message("user", iter(kept)).content  # type: ignore[arg-type]  # any iterable
    assert Message("user", np.array(["a", "b"])).content == ("a", "b")  # type: ignore[arg-type]  # any iterable
    assert Message("user", []).content == ()
    assert Message("assistant", None).content is None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("hello", "hello"),
        (None, ""),
        ([], ""),
        (["a", "b"], "a\nb"),
        (["", "b"], "\nb"),
        (["a", Image(LINK), {"type": "text", "text": "b"}], "a\nb"),
        ([Image(LINK), {"type": "video_url", "text": "b"}], ""),
    ],
)
def test_text(content: Any, text: str) -> None:
    """All text is in `text`; the rest is not."""
    assert Message("user", content).text == text


def circle() -> dict[str, Any]:
    """A mapping that holds itself."""
    mapping: dict[str, Any] = {}
    mapping["secret"] = mapping
    return mapping


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": 3}, "name of a message: expected a str or None, found an int"),
        (
            {"tool_call_id": b"secret"},
            "tool_call_id of a message: expected a str or None, found a bytes",
        ),
        (
            {"tool_calls": "secret"},
            "tool_calls of a message: expected a sequence of ToolCall, found a str",
        ),
        (
            {"tool_calls": None},
            "tool_calls of a message: expected a sequence of ToolCall, found a NoneType",
        ),
        (
            {"tool_calls": CALL},
            "tool_calls of a message: expected a sequence of ToolCall, found a ToolCall",
        ),
        (
            {"tool_calls": {"id": "secret"}},
            "tool_calls of a message: expected a sequence of ToolCall, found a dict",
        ),
        (
            {"tool_calls": [CALL, "secret"]},
            "tool_calls of a message: expected a sequence of ToolCall, found a str",
        ),
        (
            {"tool_calls": [circle()]},
            f"tool call: {TOO_DEEP}",
        ),
        (
            {"extra": ["secret"]},
            "extra of a message: expected a mapping or None, found a list",
        ),
        (
            {"extra": {3: "secret"}},
            "extra of a message: expected a str as name of each field, found an int",
        ),
        (
            {"extra": circle()},
            f"extra of a message: {TOO_DEEP}",
        ),
        (
            {"content": [circle()]},
            f"part of a message: {TOO_DEEP}",
        ),
        (
            {"omit_content": 1, "content": None},
            "omit_content of a message: expected True or False, found an int",
        ),
        (
            {"omit_content": True, "content": "secret"},
            "content of a message: expected None beside omit_content=True, found a str",
        ),
    ],
)
def test_field_of_another_type(fields: dict[str, Any], problem: str) -> None:
    """Each field says what it takes, and shows nothing of what it was given."""
    with pytest.raises(ConversationError) as caught:
        Message("user", **fields)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("role", {}),
        ("content", {"content": None}),
        ("name", {"name": "a"}),
        ("tool_calls", {"tool_calls": [CALL]}),
        ("tool_call_id", {"tool_call_id": "a"}),
    ],
)
def test_extra_field_that_is_one_already(name: str, fields: dict[str, Any]) -> None:
    """No field is sent twice, as servers would take one of the two."""
    with pytest.raises(ConversationError) as caught:
        Message("assistant", extra={name: "secret"}, **fields)
    assert str(caught.value) == (
        f"extra of a message: expected fields other than those given ({name}), "
        "found it twice"
    )


def test_extra_field_in_the_place_of_an_attribute() -> None:
    """What an attribute cannot hold may stand in `extra`, if the attribute is not set."""
    extra = {"content": 3, "name": None, "tool_calls": None, "tool_call_id": None}
    message = Message("assistant", None, extra=extra, omit_content=True)
    assert message.extra == extra


def test_extra_is_copied() -> None:
    """Nobody else changes what is sent; no fields are None."""
    extra: dict[str, Any] = {"reasoning_content": [PLAN]}
    message = Message("assistant", "hi", extra=extra)
    extra["reasoning_content"].append("more")
    assert message.extra == {"reasoning_content": [PLAN]}
    assert Message("assistant", "hi", extra={}) == Message("assistant", "hi")


def test_plain_messages() -> None:
    """A message is plain without any field beside role and text."""
    message = Message("user", "hi")
    assert message.is_plain
    others = [
        {"content": None},
        {"content": ["hi"]},
        {"content": None, "omit_content": True},
        {"name": ""},
        {"tool_calls": [CALL]},
        {"tool_call_id": ""},
        {"extra": {"a": 1}},
    ]
    assert not any(attrs.evolve(message, **fields).is_plain for fields in others)
    assert attrs.evolve(message, tool_calls=[], extra={}).is_plain


def test_repr() -> None:
    """Lengths and kinds are shown, and nothing of what is said."""
    parts = [PLAN, Image(LINK), {"type": "video_url", "url": "secret"}]
    message = Message(
        "assistant",
        parts,
        name="secret",
        tool_calls=[CALL],
        tool_call_id="s",
        extra={"secret": 1, "b": "secret"},
    )
    assert repr(message) == (
        "Message(role='assistant', "
        "content=[<26 characters>, <image by URL>, <video_url>], "
        "tool_calls=<1 call>, name=<6 characters>, tool_call_id=<1 character>, "
        "extra=<2 fields>)"
    )
    assert repr(Message("user", PLAN)) == "Message(role='user', content=<26 characters>)"
    empty = Message("assistant", None, omit_content=True)
    assert repr(empty) == "Message(role='assistant', content=None, omit_content=True)"


def test_texts_that_no_error_may_repeat() -> None:
    """Prompts, URLs, arguments and unknown fields are known to those who write errors."""
    message = Message(
        "assistant",
        ["hi", Image(LINK)],
        tool_calls=[CALL, {"id": "a", "input": PLAN}],
        extra={"reasoning_content": "I keep this to myself, too."},
    )
    assert list(message.texts()) == [
        "hi",
        LINK,
        CALL.arguments,
        PLAN,
        "I keep this to myself, too.",
    ]
    assert list(Message("user", PLAN).texts()) == [PLAN]
    assert list(Message("user", None).texts()) == []


SECRET = st.text(min_size=1).map("\N{SNOWMAN}".__add__)


@given(secret=SECRET, data=st.binary(min_size=1))
def test_nothing_of_a_message_is_shown(secret: str, data: bytes) -> None:
    """No prompt, URL, name, argument or byte gets into the repr of a message."""
    message = Message(
        "assistant",
        [
            secret,
            Image(f"https://a.test/{''.join(secret.split())}"),
            File(data, media_type="text/plain", filename=secret),
            Audio(data, media_type="audio/flac"),
            {"type": secret, "text": secret},
        ],
        name=secret,
        tool_calls=[ToolCall(secret, secret, secret), {secret: secret}],
        tool_call_id=secret,
        extra={secret: secret},
    )
    shown = repr(message)
    assert shown.isascii()
    assert "\\" not in shown


VALUES = st.one_of(
    SECRET,
    st.binary(),
    st.integers(),
    st.none(),
    st.lists(SECRET, max_size=2),
    st.dictionaries(SECRET, SECRET, max_size=2),
)
FIELDS = st.sampled_from(
    ["content", "name", "tool_calls", "tool_call_id", "extra", "omit_content"]
)


@given(role=VALUES, fields=st.dictionaries(FIELDS, VALUES, max_size=3))
def test_nothing_of_a_wrong_message_is_shown(role: Any, fields: dict[str, Any]) -> None:
    """No value of any type, in whatever field, gets into an error or a repr."""
    for speaker in (role, "user"):
        try:
            shown = repr(Message(speaker, **fields))
        except ConversationError as error:
            shown = str(error) + repr(error)
        assert "\N{SNOWMAN}" not in shown
        assert "\\u2603" not in shown
