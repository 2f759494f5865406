"""The tables of options that `help` shows: complete, and true."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import attrs
import pytest

import limin
from limin import Client, ModelConfiguration
from limin.client.option_table import HEADING, option_rows, with_options
from limin.values.conversation import Conversation
from limin.values.options import DECISION_DEFAULTS, DEFAULTS
from limin.wire.request import RequestEncoder, wire_name

VERBS = [
    "generate_text_completion",
    "generate_text_completion_for_conversation",
    "generate_text_completions",
    "generate_text_completions_for_conversations",
    "iter_text_completions",
    "stream_text_completion",
    "stream_text_completion_for_conversation",
    "run_tools",
    "generate_decision",
    "generate_decisions",
]
DEFAULT_COLUMN = 50  # Where the default begins in a line.


def taken_by(function: Any) -> type:
    """Return the typed dictionary of the options that *function* takes."""
    name = re.fullmatch(r"Unpack\[(\w+)\]", function.__annotations__["options"])
    assert name is not None
    options: type = getattr(limin, name[1])
    return options


@pytest.mark.parametrize("owner", [limin, Client])
@pytest.mark.parametrize("verb", VERBS)
def test_help_lists_every_option(owner: Any, verb: str) -> None:
    """`help` of each function shows all that it takes, with type and default."""
    function = getattr(owner, verb)
    text, _, table = (inspect.getdoc(function) or "").partition(HEADING)
    head, *lines = table.strip().splitlines()
    assert head.split() == ["option", "in", "the", "request", "default", "type"]
    names = [line.split()[0] for line in lines]
    assert names == list(taken_by(function).__annotations__)
    assert all(line[DEFAULT_COLUMN:].strip() for line in lines)
    assert not text.startswith(" ")


def row(name: str, options: type = limin.FunctionOptions) -> tuple[str, ...]:
    """Return the row of the option *name*, without it."""
    return next(tuple(each)[1:] for each in option_rows(options) if each.name == name)


def test_rows() -> None:
    """Names in the request, defaults and types are those of the code."""
    assert row("temperature") == ("temperature", "0.7", "float | None")
    assert row("log_probs") == ("logprobs", "False", "bool")
    assert row("timeout") == ("", "the client's, 600.0", "float | None")
    types = "str | Endpoint | Sequence[str | Endpoint] | None"
    assert row("base_url") == ("", "the environment's", types)
    assert row("max_rounds", limin.ToolRunOptions) == ("", "8", "int")


def test_rows_of_decisions() -> None:
    """A decision has defaults of its own."""
    decision = limin.FunctionDecisionOptions
    assert row("temperature", decision)[1] == "0.0"
    assert row("top_log_probs", decision)[1] == "20"
    assert row("max_tokens", decision)[1] == "enough for a label"


def test_every_default_is_an_option() -> None:
    """No default is left of an option that is gone."""
    names = {
        name for verb in VERBS for name in taken_by(getattr(limin, verb)).__annotations__
    }
    assert DEFAULTS.keys() | DECISION_DEFAULTS.keys() <= names


def test_names_in_the_request() -> None:
    """Each name in the table is the name in the body, and no other field is there."""
    everything = ModelConfiguration(
        **dict.fromkeys(("max_tokens", "top_p", "seed", "top_log_probs"), 1),
        **dict.fromkeys(("presence_penalty", "frequency_penalty"), 1),
        stop="x",
        log_probs=True,
        max_completion_tokens=1,
        reasoning_effort="low",
        logit_bias={1: 1},
        tools=[{"type": "function"}],
        tool_choice="auto",
        parallel_tool_calls=True,
        stream=True,
    )
    body = RequestEncoder.of(everything).encode(Conversation.from_prompts("hi"))
    names = {wire_name(name) for name in attrs.fields_dict(ModelConfiguration)} - {None}
    assert json.loads(body).keys() - {"messages", "stream_options"} == names


def test_function_without_a_docstring() -> None:
    """Python without docstrings (-OO) has no tables either."""

    def undocumented() -> None: ...

    assert with_options(limin.AskOptions)(undocumented).__doc__ is None
