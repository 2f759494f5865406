"""A program of the documentation, as the main module of a forked process."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import sys
import types
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Files of what it writes to stdout and to stderr.
OUTPUTS = ("out.txt", "err.txt")


def be_program(program: str, environment: dict[str, str], folder: Path) -> None:
    """Run *program* as the main module of this process; its output goes into files.

    Lines with `await` outside of a function run as they do in a cell of a notebook.
    """
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, name in enumerate(OUTPUTS, start=1):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), descriptor)
    warnings.simplefilter("error")
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    code = compile(program, "program.py", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    value = eval(code, main.__dict__)  # noqa: S307 (our own)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(value)
