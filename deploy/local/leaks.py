"""Secrets in what is kept: `python -m deploy.local.leaks [FILE …]`, by detect-secrets, over every tracked file.

Whatever looks like a key, a token or a password fails, unless it is reviewed (reviewed.toml: the file, what it is and
why it is none). Words called "password" in tests are the tests' own and not looked at; keys of known makers, private
keys and random-looking words are, there too.
"""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from detect_secrets.core import scan
from detect_secrets.core.potential_secret import PotentialSecret
from detect_secrets.settings import default_settings

from deploy.local.steps import ROOT

REVIEWED = ROOT / "deploy" / "local" / "reviewed.toml"
# Nothing to look at: other people's files kept unmodified, hashes of packages and of what is reviewed, pictures, words.
NOT_OURS = ("static/vendor/", "deploy/local/reviewed.toml")
NO_TEXT = (".lock", ".png", ".woff2", ".gz", ".po", ".pot", ".mo", ".ico")
LEFT_OUT = {".git", ".venv", ".tools", "var", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
Finding = tuple[str, int, str, str]


def main(words: Sequence[str]) -> int:
    reviewed = {(one["file"], one["hash"]) for one in tomllib.loads(REVIEWED.read_text()).get("no_secret", [])}
    found = [one for one in findings(list(words) or list(kept_files())) if (one[0], one[3]) not in reviewed]
    for file, line, kind, digest in found:
        print(f"{file}:{line}: {kind} (hash {digest})")
    if found:
        print("Take it out and make a new one, for history keeps it; if it is none, reviewed.toml says why.")
    return 1 if found else 0


def kept_files() -> Iterator[str]:
    """What Git tracks; all there is where this is no checkout."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=False, capture_output=True, text=True)
    names = done.stdout.split("\0") if done.returncode == 0 else walked()
    return (name for name in names if name and (ROOT / name).is_file() and is_ours(name))


def walked() -> Iterator[str]:
    for folder, inside, files in os.walk(ROOT):
        inside[:] = [name for name in inside if name not in LEFT_OUT]
        yield from (str((Path(folder) / name).relative_to(ROOT)) for name in files)


def is_ours(name: str) -> bool:
    return not name.startswith(NOT_OURS) and not name.endswith(NO_TEXT)


def findings(names: Sequence[str]) -> list[Finding]:
    """What looks like a secret, by file and line; the work is shared among the processors."""
    with ProcessPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return sorted(one for some in pool.map(look, names, chunksize=20) for one in some)


def look(name: str) -> list[Finding]:
    with default_settings():
        return [(name, one.line_number, one.type, one.secret_hash) for one in counted(name, scan.scan_file(name))]


def counted(name: str, found: Iterable[PotentialSecret]) -> Iterator[PotentialSecret]:
    theirs = name.startswith("tests/")
    return (one for one in found if not (theirs and one.type == "Secret Keyword"))


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
