"""The value of a JSON text that is still being written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.json_text.scanner import JSONScanner
from limin.json_text.tree import TreeBuilder, read_scalar

if TYPE_CHECKING:
    from limin.errors import JSONTextError


class PartialReader:
    """Reads JSON in pieces, and holds the value of what is closed so far.

    White space and one code fence may stand around it. Nothing is raised: where the text
    is no JSON, the value stays as it is, and `error` says why.
    """

    __slots__ = ("_builder", "_scanner")

    def __init__(self) -> None:
        self._scanner = JSONScanner()
        self._builder = TreeBuilder(read_scalar)

    @property
    def value(self) -> object:
        """The value so far as plain data; `msgspec.UNSET` if there is none.

        It holds whole scalars and whole keys only: never half a word, nor a number that
        may go on. A container is there as soon as it begins, with what is closed in it.
        At the end it is what `json.loads` returns. Of repeated keys the last counts, so
        it takes the place of one that was there before.

        Reading it costs nothing, because it is the same object each time, and grows:
        copy it (`copy.deepcopy`) to keep a moment, or to change it.
        """
        return self._builder.value

    @property
    def is_closed(self) -> bool:
        """Whether the value is complete. A number alone is so at the end of the text."""
        return self._scanner.is_closed

    @property
    def error(self) -> JSONTextError | None:
        """The first place that is no JSON; None if there is none so far."""
        return self._scanner.error

    def feed(self, piece: str) -> None:
        """Read the next piece of the text."""
        self._builder.add(self._scanner.feed(piece))

    def finish(self) -> None:
        """Take note that the text has ended, which closes a number alone."""
        self._builder.add(self._scanner.finish())
