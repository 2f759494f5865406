"""The tables of the guide on what limin sends and reads are those of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import attrs
import pytest

from limin import Conversation, ModelConfiguration, WarningCode
from limin.wire.request import RequestEncoder

PAGE = (Path(__file__).parent.parent / "docs/guides/sent-and-read.md").read_text()

# Of each option, the field that it is sent in.
ROW = r"^\| `([a-z_]+)` \| `([a-z_]+)`(?:, `[a-z_]+`)? \| .* \|$"
FIELDS = dict(re.findall(ROW, PAGE, re.MULTILINE))

TOOL = {"type": "web_search"}

# A value of each option.
VALUES = {
    "model": "m",
    "temperature": 0.5,
    "max_tokens": 1,
    "max_completion_tokens": 1,
    "top_p": 0.5,
    "stop": "x",
    "seed": 1,
    "presence_penalty": 1.0,
    "frequency_penalty": 1.0,
    "logit_bias": {1: 1.0},
    "reasoning_effort": "low",
    "log_probs": True,
    "top_log_probs": 5,
    "tools": (TOOL,),
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "stream": True,
}

# What an option needs beside it.
NEEDED = {"top_log_probs": {"log_probs": True}, "tool_choice": {"tools": (TOOL,)}}


def body(configuration: ModelConfiguration) -> dict[str, object]:
    """Return the body of a request."""
    encoder = RequestEncoder.of(configuration)
    fields: dict[str, object] = json.loads(
        encoder.encode(Conversation.from_prompts("Hello"))
    )
    return fields


def test_every_option_has_a_row() -> None:
    """Whoever looks for an option finds the field that it is sent in."""
    assert {*FIELDS} - {"response_type"} == {*attrs.fields_dict(ModelConfiguration)} - {
        "extra_body"
    }


@pytest.mark.parametrize("option", VALUES)
def test_option_is_sent_under_its_name(option: str) -> None:
    """The field that the table names is the one in the request."""
    needed = NEEDED.get(option, {})
    sent = body(ModelConfiguration(**{option: VALUES[option], **needed}))
    assert FIELDS[option] in sent


def test_smallest_request_is_as_the_page_shows_it() -> None:
    """Nothing is sent that nobody asked for, but for two defaults."""
    (example,) = re.findall(r"^```json\n(.*?)\n```", PAGE, re.DOTALL | re.MULTILINE)
    assert body(ModelConfiguration()) == json.loads(example)


def test_every_warning_has_a_row() -> None:
    """Whoever sees a code finds who does it, and what to do."""
    codes = re.findall(r"^\| `([a-z]+(?:-[a-z]+)+)` \| .+ \| .+ \|$", PAGE, re.MULTILINE)
    assert codes == list(dict.fromkeys(codes))
    assert set(codes) == set(WarningCode)
