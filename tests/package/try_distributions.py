"""Try the README's first example with installed distributions of limin.

Run it as `python try_distributions.py PYTHON ...` with a Python that has the local model.
Each PYTHON is one of an environment into which a distribution was installed.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from limin.local import local_endpoint

README = Path(__file__).parents[2] / "README.md"

# The example may be a whole program, or lines for a notebook, which await outside of a
# function. It runs in a folder without limin, so that the installed one is imported.
RUNNER = """
import ast, asyncio, inspect, sys
import limin
assert "site-packages" in limin.__file__, limin.__file__
code = compile(sys.argv[1], "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
result = eval(code, {"__name__": "__main__"})
if inspect.iscoroutine(result):
    asyncio.run(result)
print("limin", limin.__version__, "from", limin.__file__, file=sys.stderr)
"""


def try_example(python: str, example: str, base_url: str) -> None:
    """Run *example* with *python*, as a user does after the installation.

    Raises:
        SystemExit: If it fails, or prints nothing.
    """
    environment = {"OPENAI_BASE_URL": base_url, "PATH": os.environ["PATH"]}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 (an environment of ours)
            [python, "-W", "error", "-c", RUNNER, example],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    sys.stdout.write(done.stdout + done.stderr)
    if done.returncode or not done.stdout.strip():
        sys.exit(f"the README's first example does not run with {python}")


async def main(pythons: list[str]) -> None:
    """Try the example with each of *pythons*, at one local endpoint."""
    pattern = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
    example = pattern.search(README.read_text(encoding="utf-8"))
    if example is None:
        sys.exit("the README has no example")
    # A small context bounds the length of an answer, and so the time.
    async with local_endpoint(n_ctx=256) as endpoint:
        for python in pythons:
            await asyncio.to_thread(try_example, python, example[1], endpoint.base_url)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
