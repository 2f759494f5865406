"""Run the notebook from top to bottom, and write the page `notebook.md` with its outputs.

The kernel is this Python. Run it as `python docs/run_notebook.py`; the model is local.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient import NotebookClient

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTEBOOK = Path(__file__).with_name("notebook.ipynb")
# Longer than any that an output could hold.
_FENCE = "`" * 12


def main() -> None:
    """Run all cells, and write the page.

    Raises:
        CellExecutionError: If a cell raises.
    """
    source = NOTEBOOK.read_bytes()
    notebook = nbformat.reads(source.decode(), as_version=4)
    os.environ.pop("OPENAI_BASE_URL", None)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=300, resources=resources).execute()
    lines = [
        "% `nox -s notebook` makes this page of `notebook.ipynb`, whose hash this is:",
        f"% {hashlib.sha256(source).hexdigest()}",
    ]
    for cell in notebook.cells:
        lines += ["", *_cell_lines(cell)]
    lines += ["", "{download}`Download the notebook <notebook.ipynb>`", ""]
    page = "\n".join(line.rstrip() for line in "\n".join(lines).split("\n"))
    NOTEBOOK.with_suffix(".md").write_text(page, encoding="utf-8")


def _cell_lines(cell: Any) -> Iterator[str]:  # noqa: ANN401 (a node of any kind)
    """Yield the lines of *cell* and of its outputs."""
    if cell.cell_type == "markdown":
        yield cell.source
        return
    yield from ("```py", cell.source, "```")
    for output in cell.outputs:
        shown = output.get("data", {})
        if "text/html" in shown:
            yield from ("", _FENCE + "{raw} html", shown["text/html"], _FENCE)
        else:
            text = output.get("text") or shown["text/plain"]
            yield from ("", "```text", text.rstrip(), "```")


if __name__ == "__main__":
    main()
