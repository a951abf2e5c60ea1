"""`python -m tasks worker|relay`: the two programs that `portal worker` and `portal relay` become."""

from __future__ import annotations

import argparse
import sys

from portal.kit import logs
from portal.kit.errors import ConfigurationError
from portal.kit.settings import read
from tasks import relay, worker

PROGRAMS = {"worker": worker.run, "relay": relay.run}


def main() -> int:
    """Run one program until it is told to stop; a configuration that is not fit stops with one sentence and code 2."""
    parser = argparse.ArgumentParser(prog="tasks", description="What happens after a commit.")
    parser.add_argument("program", choices=sorted(PROGRAMS))
    given = parser.parse_args()
    try:
        settings = read()
    except ConfigurationError as wrong:
        print(wrong, file=sys.stderr)
        return 2
    logs.configure(settings)
    PROGRAMS[given.program](settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
