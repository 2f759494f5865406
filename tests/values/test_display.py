import pytest
from builders import body_of, read

from limin.errors import LiminError, NotSentError
from limin.rendering import show
from limin.values.conversation import Conversation
from limin.values.display import Displayed, NotebookDisplayed, rendering
from limin.values.log_probs import LogProbs
from limin.values.messages import Message


def test_door_leads_to_the_rendering() -> None:
    """Values are shown by the functions of one module."""
    assert rendering() is show


@pytest.mark.parametrize(
    ("value", "has_html"),
    [
        (NotSentError("hello"), False),
        (Message("user", "hello"), False),
        (Conversation.from_prompts("hello"), True),
        (read(body_of("hello")), True),
        (LogProbs(lambda: ([], ())), True),
    ],
)
def test_what_is_displayed(value: object, *, has_html: bool) -> None:
    """Rich shows each of the values, and a notebook those that have HTML."""
    assert isinstance(value, Displayed)
    assert isinstance(value, NotebookDisplayed) is has_html
    assert hasattr(value, "_repr_html_") is has_html


def test_display_costs_no_memory() -> None:
    """Values keep their slots; the mix-ins add no dictionary to them."""
    for value in (
        Message("user", "hello"),
        Conversation(),
        read(body_of("hello")),
        LogProbs(lambda: ([], ())),
    ):
        assert not hasattr(value, "__dict__")
    assert issubclass(LiminError, Displayed)
