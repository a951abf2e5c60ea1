"""`./dev check`: every check that needs no running portal, side by side; all of them report, and one failure fails."""

import subprocess
import sys
import time
from pathlib import Path

from deploy.local.steps import ROOT

BIN = Path(sys.executable).parent
CHECKS = {
    "lint": [f"{BIN}/ruff", "check", "."],
    "format": [f"{BIN}/ruff", "format", "--check", "."],
    "types": [f"{BIN}/mypy"],
    "import contracts": [f"{BIN}/lint-imports"],
    "secrets": [sys.executable, "-m", "deploy.local.leaks"],
    "dependencies": [sys.executable, "-m", "deploy.local.dependencies"],
}
NOTED = "NOT "  # a check that could not look says so on a line that begins so, and is shown though it passed


def main() -> int:
    began = time.monotonic()
    running = {name: start(command) for name, command in CHECKS.items()}
    failed = [name for name, process in running.items() if not passed(name, process)]
    print(f"{len(failed)} of {len(CHECKS)} checks failed" if failed else f"All {len(CHECKS)} checks passed", end="")
    print(f" in {time.monotonic() - began:.0f} s.")
    return 1 if failed else 0


def start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def passed(name: str, process: subprocess.Popen[str]) -> bool:
    """Waits for one check and reports it; what it said when it failed, or when it could not look."""
    said, _ = process.communicate()
    good = process.returncode == 0
    print(f"{name}: {'ok' if good else 'failed'}", flush=True)
    shown = said if not good else "\n".join(line for line in said.splitlines() if line.startswith(NOTED))
    if shown:
        print(shown, flush=True)
    return good


if __name__ == "__main__":
    sys.exit(main())
