"""`python -m tests.benchmarks [NAME …]`: run benchmarks, all of them by default, and say what they found."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import tests.benchmarks as here
from tests.benchmarks.report import tell

HELPERS = {"__main__", "load", "memory", "report"}


def names() -> list[str]:
    """Return the benchmarks there are: every module beside this one that is no helper."""
    return sorted(found.name for found in pkgutil.iter_modules(here.__path__) if found.name not in HELPERS)


def main(wanted: list[str]) -> int:
    """Run the wanted ones; 2 for a name that is none."""
    unknown = [name for name in wanted if name not in names()]
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; there are: {', '.join(names())}.", file=sys.stderr)
        return 2
    for name in wanted or names():
        tell(importlib.import_module(f"tests.benchmarks.{name}").run())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
