"""What limin costs beside its peers: measures, prints, and writes docs/benchmarks.md.

`nox -s bench` runs it, with the peers installed.
"""

from __future__ import annotations

import argparse
import sys

from report import page
from runs import HERE, measure_imports, measure_loads, measure_parsings
from targets import targets

PAGE = HERE.parent.parent / "docs" / "benchmarks.md"


def main() -> None:
    """Measure everything once, and report it."""
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of requests")
    rounds = parser.parse_args().rounds
    imports, parsings = measure_imports(), measure_parsings()
    loads = measure_loads(rounds)
    found = page(loads, imports, parsings, targets(loads, imports, parsings))
    PAGE.write_text(found, encoding="utf-8")
    sys.stdout.write(found)


if __name__ == "__main__":
    main()
