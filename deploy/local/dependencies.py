"""Known vulnerabilities of what the locks name: `python -m deploy.local.dependencies [LOCK …]`, by pip-audit.

A known vulnerability fails, unless it is reviewed (reviewed.toml: its id and why it does not concern us). That the
service which knows them does not answer, or does not know a package, is said and fails nothing: no build should stand
still because somebody else's machine does. PIP_AUDIT_VULNERABILITY_SERVICE chooses another service.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.local.steps import ROOT

LOCKS = ("requirements-dev.lock", "deploy/local/uv.lock")  # the first holds all that the production image has, too
REVIEWED = ROOT / "deploy" / "local" / "reviewed.toml"
UNREACHABLE = ("vulnerability feed", "ServiceError", "ConnectionError", "Timeout", "redirecting properly")
PATIENCE_SECONDS = 90


def main(locks: Sequence[str]) -> int:
    try:
        done = audit(locks)
    except subprocess.TimeoutExpired:
        return unknown(f"the service took over {PATIENCE_SECONDS} s")
    if not done.stdout.lstrip().startswith("{"):
        if any(word in done.stderr for word in UNREACHABLE):
            return unknown("the service that knows vulnerabilities does not answer")
        print(done.stderr)
        return 1
    return judge(json.loads(done.stdout)["dependencies"])


def audit(locks: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Runs pip-audit over the locks as they are, hashes and all; nothing is resolved or installed."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    command += ["--format", "json", "--desc", "off", "--timeout", "5", "--cache-dir", str(ROOT / ".tools" / "audit")]
    command += [word for lock in locks for word in ("-r", lock)]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def judge(dependencies: Iterable[Mapping[str, Any]]) -> int:
    """Says what is known of each; returns 1 where something known is not reviewed."""
    reviewed = {one["id"]: one["reason"] for one in tomllib.loads(REVIEWED.read_text()).get("vulnerability", [])}
    known = [one for one in dependencies if "skip_reason" not in one]
    skipped = [str(one["name"]) for one in dependencies if "skip_reason" in one]
    open_ = [line for one in known for line in sentences(one, reviewed)]
    print(*open_, sep="\n" if open_ else "")
    if skipped:
        unknown(f"the service knows nothing of {len(skipped)} of {len(skipped) + len(known)} packages")
    return 1 if open_ else 0


def sentences(one: Mapping[str, Any], reviewed: Mapping[str, str]) -> list[str]:
    """What is known of one dependency and was not reviewed, with the versions that mend it."""
    found = [flaw for flaw in one["vulns"] if not {flaw["id"], *flaw["aliases"]} & reviewed.keys()]
    return [
        f"{one['name']} {one['version']}: {flaw['id']}; mended in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for flaw in found
    ]


def unknown(why: str) -> int:
    print(f"NOT AUDITED, so nothing is known to be wrong and nothing to be right: {why}.")
    return 0


if __name__ == "__main__":
    sys.exit(main([str(Path(word).resolve()) for word in sys.argv[1:]] or LOCKS))
