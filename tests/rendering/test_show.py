import re

import pytest
from builders import body_of, read
from rich.table import Table
from samples import position

from limin.errors import ConfigurationError, ConnectError
from limin.rendering import show
from limin.values.completion import TextCompletion
from limin.values.conversation import Conversation
from limin.values.decisions import Decision
from limin.values.log_probs import LogProbs
from limin.values.messages import Message
from limin.values.tool_runs import ToolRun

COMPLETION = read(body_of("hello"))
RUN = ToolRun(
    conversation=Conversation([Message("assistant", "hello")]),
    completions=(COMPLETION,),
    ended_by="answer",
)
DECISION = Decision(
    low={"hello": 1.0},
    high={"hello": 1.0},
    unfinished=0.0,
    ambiguous=0.0,
    unlisted=0.0,
    other=0.0,
)
LOG_PROBS = LogProbs(lambda: ((position("hello", 0.5),), ()))


@pytest.mark.parametrize(
    "value",
    [
        ConnectError("hello"),
        Message("user", "hello"),
        Conversation.from_prompts("hello"),
        COMPLETION,
        RUN,
        DECISION,
        LOG_PROBS,
    ],
)
def test_each_kind_of_value_has_its_text(value: object) -> None:
    """Whatever limin shows, a terminal shows its words."""
    assert "hello" in show.to_string(value, width=80, color=False)


def test_options_of_tokens_reach_them() -> None:
    """Palette and probabilities are those that were asked for."""
    shown = show.to_string(LOG_PROBS, width=None, color=False, show_probabilities=True)
    assert shown == "hello[0.50]"
    for value in (LOG_PROBS, DECISION):
        with pytest.raises(ConfigurationError, match="palette: expected red-green"):
            show.renderable(value, palette="sunset")  # type: ignore[arg-type]


def test_table() -> None:
    """The table is rich's own, with a row for each position."""
    table = show.table(LOG_PROBS, lowest=None, palette="viridis")
    assert isinstance(table, Table)
    assert table.row_count == 1


@pytest.mark.parametrize(
    ("value", "title"),
    [
        (Conversation.from_prompts("hello"), "Conversation"),
        (COMPLETION, f"Completion by {COMPLETION.model}"),
        (RUN, "Run with tools"),
        (DECISION, "Decision"),
        (LOG_PROBS, "Log probabilities"),
    ],
)
def test_page_and_fragment(
    value: Conversation | TextCompletion | ToolRun | Decision[str] | LogProbs, title: str
) -> None:
    """A page has the title of its kind; a fragment is for a page that is there."""
    page, fragment = show.html_page(value), show.html_fragment(value)
    assert re.findall("<title>(.*)</title>", page) == [title]
    assert "hello" in page
    assert "hello" in fragment
    assert "<html" not in fragment


@pytest.mark.parametrize(
    "shown", [show.renderable, show.html_page, show.html_fragment, show.markdown_text]
)
def test_other_values_are_not_shown(shown: object) -> None:
    """A value of another kind is refused by its type; it may hold a prompt."""
    assert callable(shown)
    with pytest.raises(TypeError) as caught:
        shown({"role": "user", "content": "hello"})
    assert str(caught.value) == "expected a value that limin shows, found a dict"
