"""`./dev portal …`: the portal's own command, in the caller's folder, against the development services.

Where `./dev run` is running, its services are used; otherwise they are started for the time of the command.
"""

import contextlib
import subprocess
import sys

from deploy.local import preflight
from deploy.local.child import StartFailed
from deploy.local.environment import Development


def main() -> int:
    development = Development(preflight.port())
    lock = preflight.running_lock()
    with contextlib.ExitStack() as stack:
        if not lock.take() and not lock.note().get("address"):
            lock.take(wait=True)
        if lock.held:
            for service in development.services:
                stack.enter_context(service)
        command = [sys.executable, "-m", "portal.cli", *sys.argv[1:]]
        return subprocess.run(command, check=False, env=development.environment).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StartFailed as failure:
        sys.exit(str(failure))
    except KeyboardInterrupt:
        sys.exit(130)
