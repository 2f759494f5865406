import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limin.json_text.answer import JSONAnswer, is_closed, strip_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("[1]", JSONAnswer("[1]", had_space=False, had_fence=False)),
        (" [1]\n\n ", JSONAnswer("[1]", had_space=True, had_fence=False)),
        ("```json\n[1]\n```", JSONAnswer("[1]", had_space=False, had_fence=True)),
        ("```\n[1]\n```\n", JSONAnswer("[1]", had_space=True, had_fence=True)),
        ("```JSON[1]```", JSONAnswer("[1]", had_space=False, had_fence=True)),
        ("```json\n[1]\n", JSONAnswer("[1]", had_space=True, had_fence=True)),
        ("```json\n[1]\n``", JSONAnswer("[1]", had_space=False, had_fence=True)),
        ('"```"', JSONAnswer('"```"', had_space=False, had_fence=False)),
        ("```[1]````", JSONAnswer("[1]````", had_space=False, had_fence=True)),
        (
            "```python\n[1]```",
            JSONAnswer("python\n[1]", had_space=False, had_fence=True),
        ),
        ("Sure: [1]", JSONAnswer("Sure: [1]", had_space=False, had_fence=False)),
        ("\N{NO-BREAK SPACE}1", JSONAnswer("\xa01", had_space=False, had_fence=False)),
        ("", JSONAnswer("", had_space=False, had_fence=False)),
        ("```", JSONAnswer("", had_space=False, had_fence=True)),
    ],
)
def test_strip(text: str, answer: JSONAnswer) -> None:
    """White space and one code fence are taken off, and told; nothing else is guessed."""
    assert strip_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ('{"a": 1}', True),
        ('{"a": 1}' + " \n" * 500, True),
        ("```json\n[]\n```", True),
        ("```json\n[]", True),
        ('"a"', True),
        ("true", True),
        ("12", False),
        ("12 ", True),
        ('{"a": 1', False),
        ("[] and more", False),
        ("[][]", False),
        ("", False),
        ("no", False),
    ],
)
def test_closed(text: str, *, closed: bool) -> None:
    """Only a whole value with white space behind it is closed; `12` may go on."""
    assert is_closed(text) is closed


@given(st.text("`json [1]\n", max_size=16))
@example("```json[1]```")
@example("```[1]````")
@example("``````")
def test_both_agree(text: str) -> None:
    """What is closed is JSON when stripped, and the other way round."""
    try:
        json.loads(strip_answer(text).text)
    except ValueError:
        assert not is_closed(text)
    else:
        assert is_closed(f"{text}\n")
