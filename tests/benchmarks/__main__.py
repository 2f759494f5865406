"""Measure limin beside its peers, print the figures, and write docs/benchmarks.md.

`nox -s bench` runs it, with the peers installed.
"""

from __future__ import annotations

import argparse
import sys

from report import page
from runs import (
    HERE,
    Figures,
    checked_out,
    measure_file_memory,
    measure_first_tokens,
    measure_imports,
    measure_loads,
    measure_memory,
    measure_observing,
    measure_parallelism,
    measure_parsings,
    measure_program,
    measure_streams,
    measure_typed,
)
from targets import targets

PAGE = HERE.parent.parent / "docs" / "benchmarks.md"


def main() -> None:
    """Measure everything in some rounds, and report it."""
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of requests")
    parser.add_argument("--beside", metavar="REV", help="a commit to measure as well")
    options = parser.parse_args()
    rounds: int = options.rounds
    with checked_out(options.beside) as beside:
        figures = Figures(
            imports=measure_imports(),
            parsings=measure_parsings(),
            typed=measure_typed(),
            memory=measure_memory(),
            file_memory=measure_file_memory(),
            parallelism=measure_parallelism(),
            readings=measure_streams(rounds, beside),
            first_tokens=measure_first_tokens(rounds),
            program=measure_program(),
            observing=measure_observing(rounds),
            loads=measure_loads(rounds, beside),
            beside=None if beside is None else beside.name,
        )
    results = targets(figures)
    text = page(figures, results)
    sys.stdout.write(text)
    if any(target.ratio is None for target in results):
        sys.exit(f"a target was not measured; {PAGE.name} is left as it was")
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
