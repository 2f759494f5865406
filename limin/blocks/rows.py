"""Rows of a table as prompts and conversations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, cast

import attrs

from limin.errors import ConfigurationError, ConversationError
from limin.files.questions import read_messages
from limin.files.templates import Template, WrongFieldsError
from limin.values.checks import as_list, check_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from limin.blocks.tables import Table
    from limin.values.conversation import Conversation


class RowReader(Protocol):
    """Reads rows as prompts or conversations."""

    @property
    def columns(self) -> frozenset[str]:
        """The names of the columns that it reads."""
        ...

    def read(self, row: Mapping[str, object]) -> str | Conversation:
        """Return the prompt or the conversation of *row*.

        Raises:
            ConversationError: If it has none.
        """
        ...


@attrs.frozen
class PromptColumn:
    """Reads a column of prompts."""

    name: str

    @property
    def columns(self) -> frozenset[str]:
        """The column's name."""
        return frozenset({self.name})

    def read(self, row: Mapping[str, object]) -> str:
        """Return the prompt of *row*.

        Raises:
            ConversationError: If it is no text.
        """
        prompt = row[self.name]
        if isinstance(prompt, str):
            return prompt
        found = "null" if prompt is None else "another value"
        problem = f"expected a text in the column {self.name!r}, found {found}"
        raise ConversationError(problem)


@attrs.frozen
class PromptTemplate:
    """Reads columns by a template."""

    template: Template

    @property
    def columns(self) -> frozenset[str]:
        """The names in the template."""
        return self.template.names

    def read(self, row: Mapping[str, object]) -> str:
        """Return the prompt of *row*.

        Raises:
            ConversationError: If a value is null.
        """
        try:
            return self.template.fill(row)
        except WrongFieldsError as error:
            raise ConversationError(str(error)) from None


@attrs.frozen
class MessagesColumn:
    """Reads a column of lists of messages, as structs or as JSON texts."""

    name: str

    @property
    def columns(self) -> frozenset[str]:
        """The column's name."""
        return frozenset({self.name})

    def read(self, row: Mapping[str, object]) -> Conversation:
        """Return the conversation of *row*.

        Raises:
            ConversationError: If there is none.
        """
        value = row[self.name]
        try:
            messages = json.loads(value) if isinstance(value, str) else _plain(value)
            return read_messages(messages)
        except (WrongFieldsError, ValueError, RecursionError) as error:
            is_ours = isinstance(error, WrongFieldsError)
            reason = str(error) if is_ours else "expected messages as JSON, found no JSON"
            problem = f"column {self.name!r}: {reason}"
            raise ConversationError(problem) from None


def _plain(value: object) -> object:
    """Return the messages in *value* as the lists and objects that JSON has.

    A column of structs has the same fields in each row. Of those that are null only
    `content` is kept: what is absent and what is null look the same.
    """
    messages = as_list(value)
    if messages is None:
        return value
    return [_without_nulls(message, kept="content") for message in messages]


def _without_nulls(value: object, kept: str | None = None) -> object:
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, object]", value)
        return {
            name: _without_nulls(each)
            for name, each in fields.items()
            if each is not None or name == kept
        }
    entries = None if isinstance(value, str) else as_list(value)
    return value if entries is None else [_without_nulls(entry) for entry in entries]


def choose_reader(
    prompt_column: object, messages_column: object, template: object
) -> RowReader:
    """Return what reads rows, by the one of these that is given.

    Raises:
        ConfigurationError: If both of the last two are given, or one is no text.
    """
    if messages_column is not None and template is not None:
        problem = "template: expected no messages_column beside it, found one"
        raise ConfigurationError(problem)
    if template is not None:
        return PromptTemplate(Template.parse(check_text("template", template)))
    if messages_column is not None:
        return MessagesColumn(check_text("messages_column", messages_column))
    return PromptColumn(check_text("prompt_column", prompt_column))


@attrs.frozen
class BlockRows:
    """The rows of one block, as far as a reader needs them."""

    reader: RowReader
    values: Mapping[str, Sequence[object]]

    @classmethod
    def of(cls, table: Table, reader: RowReader) -> BlockRows:
        """Return the rows of *table*, which *reader* can read.

        Raises:
            ConfigurationError: If a column is missing; it would be for every row.
        """
        missing = sorted(reader.columns - set(table.column_names))
        if missing:
            names = ", ".join(map(repr, missing))
            problem = f"expected the columns of the prompts, found none named {names}"
            raise ConfigurationError(problem)
        return cls(reader, {n: table.column(n).to_pylist() for n in reader.columns})

    def read(self, index: int) -> str | Conversation:
        """Return the prompt or the conversation of the row at *index*.

        Raises:
            ConversationError: If it has none.
        """
        return self.reader.read({name: v[index] for name, v in self.values.items()})
