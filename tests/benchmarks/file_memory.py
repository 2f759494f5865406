"""Peak memory of `limin run` over a file of some prompts, and over one of many.

Prints, as JSON, the peak kilobytes of each run by the number of its prompts.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

FEW, MANY = 10_000, 100_000
_PARALLEL = 64


def _run(url: str, folder: Path, number: int) -> int:
    """Answer *number* prompts, and return the peak kilobytes of all runs so far."""
    prompts, answers = folder / f"{number}.txt", folder / f"{number}.jsonl"
    lines = (f"What is {index} + {index}?\n" for index in range(number))
    prompts.write_text("".join(lines))
    arguments = ["-n", str(_PARALLEL), "--base-url", url, "--max-retries", "0"]
    command = [sys.executable, "-m", "limin", "run", str(prompts), "-o", str(answers)]
    subprocess.run([*command, *arguments], check=True)  # noqa: S603 (our own program)
    with answers.open() as file:
        assert sum(1 for _ in file) == number
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        peaks = {str(n): _run(sys.argv[1], Path(name), n) for n in (FEW, MANY)}
    sys.stdout.write(json.dumps(peaks))
