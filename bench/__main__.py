"""Side-by-side measurements: `make bench` runs all, `make bench ARGS=NAME` one. Each prints ratios
of medians of interleaved pairs.

A benchmark is a module of this package with a `main()` that prints its table; absolute figures on a
shared machine mean little.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path


def names() -> list[str]:
    return sorted(
        m.name
        for m in pkgutil.iter_modules([str(Path(__file__).parent)])
        if not m.name.startswith("_")
    )


def main() -> int:
    chosen = sys.argv[1:] or names()
    unknown = [name for name in chosen if name not in names()]
    if unknown:
        sys.stderr.write(f"no such benchmark: {', '.join(unknown)}; known: {', '.join(names())}\n")
        return 2
    for name in chosen:
        module = importlib.import_module(f"bench.{name}")
        sys.stdout.write(f"== {name}: {(module.__doc__ or '').strip().splitlines()[0]}\n")
        sys.stdout.flush()
        sys.argv = [
            f"bench {name}"
        ]  # a benchmark with options of its own is run by itself: python -m bench.NAME --help
        module.main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
