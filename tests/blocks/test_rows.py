"""Rows as prompts and conversations, and blocks as tables."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from limin import Conversation
from limin.blocks.rows import BlockRows, choose_reader
from limin.blocks.tables import as_table
from limin.errors import ConfigurationError, ConversationError


def read(columns: dict[str, Any], **choice: Any) -> list[str | list[dict[str, Any]]]:
    """Return the prompts, or the messages, or the errors, of a table of *columns*."""
    given = {"prompt_column": "prompt", "messages_column": None, "template": None}
    table = as_table(columns)
    rows = BlockRows.of(table, choose_reader(**{**given, **choice}))
    results: list[str | list[dict[str, Any]]] = []
    for index in range(table.num_rows):
        try:
            item = rows.read(index)
        except ConversationError as error:
            item = f"error: {error}"
        results.append(item.to_openai() if isinstance(item, Conversation) else item)
    return results


def test_column_of_prompts() -> None:
    """A text is a prompt; anything else is an error of its row."""
    assert read({"prompt": ["a", None], "n": [1, 2]}) == [
        "a",
        "error: expected a text in the column 'prompt', found null",
    ]
    assert read({"q": [7]}, prompt_column="q") == [
        "error: expected a text in the column 'q', found another value"
    ]


def test_template() -> None:
    """Columns stand where their names are; a null makes no prompt."""
    columns = {"text": ["hi", None], "n": [1, 2], "other": [0, 0]}
    assert read(columns, template="{n}: {text}") == [
        "1: hi",
        "error: expected a value in the column 'text', found null",
    ]


USER = {"role": "user", "content": "hi"}
CALLS = [
    USER,
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "1", "content": "7"},
]


def test_messages() -> None:
    """Structs of Arrow have every field in each row; those that are null are absent."""
    assert read({"chat": [[USER], CALLS]}, messages_column="chat") == [[USER], CALLS]
    texts = [json.dumps(CALLS), "no JSON", "[]", None, '[{"role": "x"}]']
    found = read({"chat": texts}, messages_column="chat")
    assert found[0] == CALLS
    assert found[1:4] == [
        "error: column 'chat': expected messages as JSON, found no JSON",
        "error: column 'chat': expected a list in messages, not empty, found none",
        "error: column 'chat': expected a list in messages, not empty, found none",
    ]
    assert str(found[4]).startswith("error: column 'chat': messages: ")


@pytest.mark.parametrize(
    ("choice", "problem"),
    [
        ({"prompt_column": None}, "prompt_column: expected"),
        ({"messages_column": 5}, "messages_column: expected"),
        ({"template": 5}, "template: expected"),
        ({"template": "{"}, "template: expected"),
        ({"template": "x", "messages_column": "y"}, "no messages_column beside it"),
        ({"prompt_column": "q"}, "found none named 'q'"),
        ({"template": "{b} {a} {prompt}"}, "found none named 'a', 'b'"),
    ],
)
def test_choice_that_makes_no_sense(choice: dict[str, Any], problem: str) -> None:
    """It would fail every row, so it fails the block."""
    with pytest.raises(ConfigurationError, match=problem):
        read({"prompt": ["a"]}, **choice)


def test_kinds_of_blocks() -> None:
    """Tables of Arrow stay what they are; others become tables."""
    table = pa.table({"prompt": ["a"], "n": pa.array([1], pa.int8())})
    assert as_table(table) is table
    frame = pd.DataFrame({"prompt": ["a"], "n": np.array([1], np.int8)}, index=[7])
    arrays = {"prompt": np.array(["a"], object), "n": np.array([1], np.int8)}
    for block in (frame, arrays):
        made = as_table(block)
        assert made.column_names == ["prompt", "n"]
        assert made.column("n").to_pylist() == [1]
        assert str(made.schema.field("n").type) == "int8"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({"prompt": ["a"], "pixels": np.zeros((1, 2, 2))}, "pass batch_format='pyarrow'"),
        ({"prompt": np.array([object()])}, "pass batch_format='pyarrow'"),
        (["a"], "expected a block of pyarrow, pandas or numpy, found a list"),
    ],
)
def test_block_that_is_no_table(block: object, problem: str) -> None:
    """The error says what to do about it."""
    with pytest.raises(ConfigurationError, match=problem):
        as_table(block)


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has not installed it is told how."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'limin\[ray\]'"):
        as_table({})
