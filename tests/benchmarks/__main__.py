"""What limin costs beside its peers: measures, prints, and writes docs/benchmarks.md.

`nox -s bench` runs it, with the peers installed.
"""

from __future__ import annotations

import argparse
import sys

from report import page
from runs import (
    HERE,
    measure_imports,
    measure_loads,
    measure_memory,
    measure_parallelism,
    measure_parsings,
)
from targets import targets

PAGE = HERE.parent.parent / "docs" / "benchmarks.md"


def main() -> None:
    """Measure everything once, and report it."""
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of requests")
    rounds = parser.parse_args().rounds
    imports, parsings = measure_imports(), measure_parsings()
    memory, parallelism = measure_memory(), measure_parallelism()
    loads = measure_loads(rounds)
    reached = targets(loads, imports, parsings, memory, parallelism)
    found = page(loads, imports, parsings, memory, parallelism, targets=reached)
    sys.stdout.write(found)
    if any(target.ratio is None for target in reached):
        sys.exit(f"a target was not measured; {PAGE.name} is left as it was")
    PAGE.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()
