"""What limin costs beside its peers: measures, prints, and writes docs/benchmarks.md.

`nox -s bench` runs it, with the peers installed.
"""

from __future__ import annotations

import argparse
import sys

from report import page
from runs import (
    HERE,
    Figures,
    measure_first_tokens,
    measure_imports,
    measure_loads,
    measure_memory,
    measure_parallelism,
    measure_parsings,
    measure_streams,
)
from targets import targets

PAGE = HERE.parent.parent / "docs" / "benchmarks.md"


def main() -> None:
    """Measure everything once, and report it."""
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of requests")
    rounds = parser.parse_args().rounds
    figures = Figures(
        imports=measure_imports(),
        parsings=measure_parsings(),
        memory=measure_memory(),
        parallelism=measure_parallelism(),
        readings=measure_streams(rounds),
        first_tokens=measure_first_tokens(rounds),
        loads=measure_loads(rounds),
    )
    reached = targets(figures)
    found = page(figures, reached)
    sys.stdout.write(found)
    if any(target.ratio is None for target in reached):
        sys.exit(f"a target was not measured; {PAGE.name} is left as it was")
    PAGE.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()
