"""Parts of the reference that Sphinx makes from the code.

`.. limin-options:: FunctionOptions` is the table of these options. The docstring of each
function that takes options links to it, in the place of the table that `help` shows. A
name in single backticks is a link if it is one of the reference, and code otherwise.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

import limin
from limin.client.option_table import HEADING, option_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

# Where the attributes of options are described, the most exact first.
_DESCRIBED_IN = (
    limin.DecisionOptions,
    limin.ToolRunOptions,
    limin.BatchOptions,
    limin.CompletionOptions,
    limin.StreamOptions,
    limin.AskOptions,
    limin.ClientOptions,
    limin.ModelConfiguration,
)
_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
_OPTIONS = re.compile(r"Unpack\[(?:Function)?(\w*Options)\]")


def describe(name: str, options: type) -> tuple[str, str]:
    """Return the class that describes the option *name*, and its first sentence there."""
    for owner in _DESCRIBED_IN:
        taken = getattr(owner, "__annotations__", {}).keys()
        if owner is limin.ModelConfiguration or taken <= options.__annotations__.keys():
            texts = dict(_ATTRIBUTE.findall(inspect.getdoc(owner) or ""))
            if name in texts:
                text = " ".join(texts[name].split())
                return owner.__name__, re.split(r"(?<=[^.]\.) |; ", text)[0].rstrip(".")
    raise LookupError(name)


def _lines(options: type) -> Iterator[str]:
    yield from (".. list-table::", "   :header-rows: 1", "   :widths: 32 16 22 30", "")
    yield from _cells(["Option and type"], "Default", "In the request", "Meaning")
    for row in option_rows(options):
        owner, meaning = describe(row.name, options)
        name = f"| :py:attr:`{row.name} <limin.{owner}.{row.name}>`"
        type_ = row.type.replace(" | ", "`` | ``")
        wire_name = f"``{row.wire_name}``" if row.wire_name else ""
        if row.name == "extra_body":
            wire_name = "its fields"
        yield from _cells(
            [name, f"| ``{type_}``"], f"``{row.default}``", wire_name, meaning
        )


def _cells(first: list[str], *others: str) -> Iterator[str]:
    """Yield the lines of a row, whose first cell has several."""
    yield f"   * - {first[0]}"
    yield from (f"       {line}" for line in first[1:])
    yield from (f"     - {other}" for other in others)


class OptionTable(Directive):
    """The table of the options of a family of functions."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Return the table, with a target before it."""
        name = self.arguments[0]
        lines = [f".. _options-{name}:", "", *_lines(getattr(limin, name))]
        parent = nodes.Element()
        self.state.nested_parse(StringList(lines, __file__), self.content_offset, parent)
        return parent.children


def _link_to_table(
    _app: Sphinx, _kind: str, _name: str, obj: object, _options: object, lines: list[str]
) -> None:
    """Replace the table in a docstring by a link to the table on the page."""
    if HEADING not in lines:
        return
    del lines[lines.index(HEADING) :]
    annotation = str(getattr(obj, "__annotations__", {}).get("options", ""))
    match = _OPTIONS.search(annotation)
    family = match[1].removeprefix("Completion") if match else ""
    lines += [f"All options: :ref:`the table <options-Function{family}>`.", ""]


def _leave_as_code(
    _app: Sphinx, _env: object, node: nodes.Element, contents: nodes.Element
) -> nodes.Element | None:
    """Return *contents* for a name in backticks that is none of the reference."""
    return contents if node.get("reftype") == "obj" else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Add all that to *app*."""
    app.add_directive("limin-options", OptionTable)
    # Before napoleon, which reads sections.
    app.connect("autodoc-process-docstring", _link_to_table, priority=400)
    app.connect("missing-reference", _leave_as_code)
    return {"parallel_read_safe": True}
