"""One command of the program limin on many lines: time, CPU and peak memory.

`python program.py STEP FOLDER URL` runs the command of that step in the folder, where the
steps before it have been, and prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

LINES = 100_000
PARALLEL = 64

# Of each step, its command. The first makes the run that the others read.
STEPS = {
    f"run, {PARALLEL} in parallel": ("run", "in.jsonl", "-o", "out.jsonl"),
    "convert to JSON lines": ("convert", "out.jsonl", "--to", "jsonl"),
    "convert to CSV": ("convert", "out.jsonl", "--to", "csv"),
    "convert to parquet": ("convert", "out.jsonl", "--to", "parquet"),
    "convert to OpenAI's output": ("convert", "out.jsonl", "--to", "openai"),
    "show one line": ("show", "out.jsonl", "--where", str(LINES)),
    "show failures": ("show", "out.jsonl", "--failed"),
    "show all as a page": ("show", "out.jsonl", "--html", "-"),
    "show all": ("show", "out.jsonl"),
}


def _write_input(folder: Path) -> None:
    with (folder / "in.jsonl").open("w") as file:
        for number in range(LINES):
            line = {"id": number, "prompt": f"What is {number} + {number}?"}
            file.write(json.dumps(line) + "\n")


def measure(step: str, folder: Path, url: str) -> dict[str, float]:
    """Run the command of *step*, and return its seconds, its CPU and its peak memory."""
    arguments = [*STEPS[step]]
    if arguments[0] == "run":
        _write_input(folder)
        arguments += ["-n", str(PARALLEL), "--base-url", url]
    start = time.perf_counter()
    subprocess.run(  # noqa: S603 (our own program)
        [sys.executable, "-m", "limin", *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ,
        check=True,
    )
    seconds = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = usage.ru_utime + usage.ru_stime
    return {"seconds": seconds, "cpu": cpu, "peak_kb": usage.ru_maxrss}


if __name__ == "__main__":
    figures = measure(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
    sys.stdout.write(json.dumps(figures))
