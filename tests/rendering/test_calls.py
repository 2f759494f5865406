"""The spelling of calls and of names from outside."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limin.rendering.calls import call_id, call_name, quote_name, show_call, show_name
from limin.values.tools import ToolCall

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
DEEP = '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"


def spell(arguments: str) -> tuple[str, ...]:
    """Return the arguments of a call as they are shown."""
    return show_call(ToolCall("1", "f", arguments)).arguments


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ("{}", ()),
        ("", ()),
        (" ", ()),
        ('{"city": "Paris"}', ('city="Paris"',)),
        (
            '{"n":1.00,"big":1e400,\n"x":[1,{"y":null}]}',
            ("n=1.00", "big=1e400", 'x=[1, {"y": null}]'),
        ),
        ('{"two words": true, "": 1, "é": 2}', ('"two words"=true', '""=1', '"é"=2')),
        ('{"a": "\\u5317\\n"}', ('a="\\u5317\\n"',)),
    ],
)
def test_arguments_of_an_object(arguments: str, shown: tuple[str, ...]) -> None:
    """Each argument is shown as a keyword, its value as the model spelled it."""
    assert spell(arguments) == shown


@pytest.mark.parametrize(
    "arguments",
    [
        '"Paris"',
        "[1]",
        "null",
        '{"city": "Par',
        '{"a": NaN}',
        "{} {}",
        '{"a": 1, "a": 2}',
        '{"\\u0061": 1}',
        '{"a": "\\ud83d"}',
        "\ud83d",
        "x\n\x1b[2J",
    ],
)
def test_other_arguments_stay_as_they_are(arguments: str) -> None:
    """Text that is no object, or would lose something as keywords, is shown as it is."""
    assert spell(arguments) == (arguments,)


def test_deep_arguments_lose_nothing() -> None:
    """Some versions of Python read them, and others do not."""
    assert "[" * 100_000 + "]" * 100_000 in "".join(spell(DEEP))


@given(text=st.text(), value=JSON)
@example(text=DEEP, value={"a": [float("nan")]})
def test_no_arguments_raise(text: str, value: object) -> None:
    """Whatever a model writes is shown."""
    spell(text)
    show_call({"function": {"name": text, "arguments": value}})
    show_call({"id": value, "type": text, text: value})


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        ({"function": {"name": "f", "arguments": {"a": 1}}}, ("f", "a=1")),
        ({"function": {"name": "f", "arguments": None}}, ("f",)),
        ({"type": "custom", "custom": {"name": "f", "input": "x"}}, ("f", "x")),
        ({"type": "mcp", "n": 1}, ("<call>", 'type="mcp"', "n=1")),
        ({"type": 5, "function": "x"}, ("<call>", "type=5", 'function="x"')),
        ({"function": {"name": "f", "arguments": 2.5j}}, ("f", '"<complex>"')),
        ({"function": {"name": "f", "arguments": {(): 1}}}, ("f", "<no JSON>")),
    ],
)
def test_call_that_is_a_mapping(call: dict[str, object], shown: tuple[str, ...]) -> None:
    """A call that limin does not know is shown as far as it is like one."""
    result = show_call(call)
    assert (result.name, *result.arguments) == shown


def test_ids_and_names() -> None:
    """Both are read from calls of either kind, and only text is one."""
    call = ToolCall("1", "f", "{}")
    assert (call_id(call), call_name(call)) == ("1", "f")
    assert (call_id(call.to_openai()), call_name(call.to_openai())) == ("1", "f")
    assert (call_id({"id": 1}), call_name({"name": 1})) == (None, None)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("get_weather", "get_weather"),
        ("assistant", "assistant"),
        ("server.tool:x/y-1", "server.tool:x/y-1"),
        ("", '""'),
        ("system\n", '"system⏎"'),
        ('a" user "', '"a\\"␣user␣\\""'),
        ("a\\", '"a\\\\"'),
        ("f(x), g", '"f(x),␣g"'),
        ("\u202euser\x1b[2J", '"⟨U+202E⟩user␛[2J"'),
        ("\u0301a", '"◌\u0301a"'),
        ("x" * 64, "x" * 64),
        ("x" * 65, f'"{"x" * 64}…"'),
    ],
)
def test_names_of_tools(name: str, shown: str) -> None:
    """Only the name of a tool stands bare; any other is quoted on one line."""
    assert show_name(name) == shown


def test_names_of_speakers_are_quoted() -> None:
    """A speaker that is called like a role does not pass for one."""
    assert quote_name("user") == '"user"'
