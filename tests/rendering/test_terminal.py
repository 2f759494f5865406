import builtins
import re

import pytest
from rich.cells import cell_len

from limin.values.choice import Choice
from limin.values.completion import TextCompletion
from limin.values.conversation import Conversation
from limin.values.log_probs import LogProbs, Position
from limin.values.messages import Message, Role
from limin.values.timing import Timing

# The escape sequences of colours: a terminal may obey no others.
COLOR = re.compile(r"\x1b\[[0-9;]*m")

HOSTILE = [
    ("[/b]", "[/b]"),
    ("[bold red]x[/]", "[bold red]x[/]"),
    (":smile:", ":smile:"),
    ("\x1b[2J", "␛[2J"),
    ("\x1b]0;title\x07", "␛]0;title␇"),
    ("\x07", "␇"),
    ("\x08", "␈"),
    ("\r", "␍"),
    ("\x9b31m", "⟨U+009B⟩31m"),
    ("\u202e", "⟨U+202E⟩"),
    ("\u200b", "⟨U+200B⟩"),
    ("\ud83e", "⟨U+D83E⟩"),
]


def show_message(content: str, role: Role = "user") -> str:
    """Return a conversation that ends with *content*, as a terminal gets it."""
    before: dict[str, list[Role]] = {"assistant": ["user"], "tool": ["user", "assistant"]}
    messages = [Message(turn, "before") for turn in before.get(role, [])]
    return Conversation([*messages, Message(role, content)]).to_pretty_string()


def show_tokens(*positions: Position, show_probabilities: bool = False) -> str:
    """Return the tokens at *positions*, as a terminal gets them."""
    choice = Choice(log_probs=LogProbs(lambda: (positions, ())))
    completion = TextCompletion(
        conversation=Conversation.from_prompts("hi"),
        model="m",
        choices=(choice,),
        timing=Timing(start_time=0.0, end_time=0.0, duration=0.0),
    )
    return completion.to_pretty_log_probs_string(show_probabilities=show_probabilities)


def color_codes(text: str) -> list[str]:
    """Return the codes of the escape sequences in *text* that start a colour."""
    return [code[2:-1] for code in COLOR.findall(text) if code != "\x1b[0m"]


@pytest.mark.parametrize(
    ("role", "code"),
    [("system", 35), ("developer", 35), ("user", 36), ("assistant", 32), ("tool", 33)],
)
def test_role_has_its_color(role: Role, code: int) -> None:
    """A rule with the role's name, in the role's colour, stands over each message."""
    output = show_message("the text", role)
    *_, rule, text = output.split("\n")
    assert rule.startswith(f"\x1b[1;{code}m{role}\x1b[0m \x1b[{code}m──")
    assert len(COLOR.sub("", rule)) == 80
    assert text == "the text"


def test_conversation_of_two() -> None:
    """Messages stand in their order, each under its rule."""
    conversation = Conversation.from_prompts("What is 2 + 2?", "Be brief.")
    assert COLOR.sub("", conversation.to_pretty_string(width=12)) == (
        "system ─────\nBe brief.\nuser ───────\nWhat is 2 + \n2?"
    )


@pytest.mark.parametrize("width", [10, 11, 12, 40, 200])
def test_rules_are_whole_at_any_width(width: int) -> None:
    """Each turn has its rule on every screen, and no line is wider than the screen."""
    messages = [Message("developer", "long " * 99), Message("user", "北京" * 99)]
    conversation = Conversation([*messages, Message("assistant", "w" * 999)])
    lines = conversation.to_pretty_string(width=width).split("\n")
    rules = [line for line in lines if "─" in line]
    assert [COLOR.findall(rule)[0] for rule in rules] == [
        "\x1b[1;35m",
        "\x1b[1;36m",
        "\x1b[1;32m",
    ]
    assert [cell_len(COLOR.sub("", rule)) for rule in rules] == [width] * 3
    assert max(cell_len(COLOR.sub("", line).rstrip()) for line in lines) == width


def test_empty_conversation() -> None:
    """An empty conversation is blank."""
    assert COLOR.sub("", Conversation().to_pretty_string()).strip() == ""


@pytest.mark.parametrize(("text", "visible"), HOSTILE)
def test_hostile_message_is_shown(text: str, visible: str) -> None:
    """All text of a message is seen, and neither the terminal nor rich obeys it."""
    output = show_message(f"a{text}b")
    assert f"a{visible}b" in output
    assert color_codes(output) == ["1;36", "36"]
    assert "\x1b" not in COLOR.sub("", output)


@pytest.mark.parametrize(("text", "visible"), HOSTILE)
def test_hostile_token_is_shown(text: str, visible: str) -> None:
    """All text of a token is seen, and neither the terminal nor rich obeys it."""
    output = show_tokens(Position(text, 0.0), show_probabilities=True)
    assert output == f"\x1b[38;2;0;136;56m{visible}\x1b[0m\x1b[2m[1.00]\x1b[0m"


def test_lines_stay() -> None:
    """The lines of a message stay lines."""
    assert show_message("one\n\n  two").endswith("─\x1b[0m\none\n\n  two")


def test_tokens_join_to_the_answer() -> None:
    """Without its colours the output is the text of the tokens, never wrapped."""
    tokens = [Position(f"word{number} ", -0.1) for number in range(200)]
    assert COLOR.sub("", show_tokens(*tokens)) == "".join(t.token for t in tokens)
    assert show_tokens() == ""


def test_probabilities_stand_behind_their_tokens() -> None:
    """Each token is followed by its probability, or by a question mark."""
    tokens = (Position("Par", -0.03), Position("is", -2.0), Position("!"))
    output = show_tokens(*tokens, show_probabilities=True)
    assert COLOR.sub("", output) == "Par[0.97]is[0.14]![?]"
    assert COLOR.sub("", show_tokens(*tokens)) == "Paris!"


@pytest.mark.parametrize(
    ("log_prob", "code"),
    [
        (0.0, "38;2;0;136;56"),
        (1e-7, "38;2;0;136;56"),
        (-0.6931471805599453, "38;2;164;103;51"),
        (-9999.0, "38;2;224;45;45"),
        (float("-inf"), "38;2;224;45;45"),
        (None, "2"),
    ],
)
def test_color_of_a_probability(log_prob: float | None, code: str) -> None:
    """A certain token is green, an impossible one red, an unknown one dim."""
    assert color_codes(show_tokens(Position("x", log_prob))) == [code]


def test_color_follows_the_probability() -> None:
    """A likelier token has less red and more green."""
    output = show_tokens(*(Position("x", -0.25 * n) for n in range(8)))
    mixed = [tuple(map(int, code.split(";")[2:4])) for code in color_codes(output)]
    assert len(mixed) == 8
    assert [red for red, _ in mixed] == sorted({red for red, _ in mixed})
    assert [green for _, green in mixed] == sorted(
        {green for _, green in mixed}, reverse=True
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NO_COLOR", "1"),
        ("COLUMNS", "7"),
        ("LINES", "2"),
        ("TERM", "dumb"),
        ("COLORTERM", "truecolor"),
        ("FORCE_COLOR", "1"),
        ("TTY_COMPATIBLE", "0"),
    ],
)
def test_environment_makes_no_difference(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The string is the same on every machine, for a log or a file."""
    conversation = Conversation.from_prompts("one two three four five six")
    token = Position("Par", -0.5)
    monkeypatch.delenv(name, raising=False)
    before = (conversation.to_pretty_string(), show_tokens(token))
    monkeypatch.setenv(name, value)
    assert (conversation.to_pretty_string(), show_tokens(token)) == before


def test_pretty_string_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook the string is returned, not displayed."""

    class ZMQInteractiveShell:
        pass

    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    assert "hello" in Conversation.from_prompts("hello").to_pretty_string()
