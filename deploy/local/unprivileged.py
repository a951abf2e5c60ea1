"""PostgreSQL refuses to run as root, so root runs it as somebody else; for everybody else this does nothing.

Where user namespaces are allowed, the server is root outside and an ordinary user inside, and every file stays root's.
Where they are refused (containers, chroots), it becomes `nobody`, owns its data folder, and keeps the one capability
that lets it reach that folder below closed parents such as /root.
"""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

NOBODY = 65534
NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
SET_USER = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
# Without the secure bit, access(2) forgets the capability of a user who is not root.
REACH = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup", "--")


@cache
def prefix() -> tuple[str, ...]:
    """What to put before a command that must not run as root; empty for an ordinary user."""
    if os.geteuid() != 0:
        return ()
    for candidate in (NAMESPACE, (*SET_USER, *REACH), (*SET_USER, "--")):
        if shutil.which(candidate[0]) and works(candidate):
            return candidate
    return ()


def works(candidate: tuple[str, ...]) -> bool:
    """Whether a program started this way is not root."""
    done = subprocess.run([*candidate, "id", "-u"], check=False, capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.strip() != "0"


def owner() -> int:
    """Whose the server's files are, as the file system sees it."""
    return NOBODY if prefix()[:1] == ("setpriv",) else os.geteuid()


def hand_over(folder: Path) -> None:
    """Gives `folder` and all in it to the user that the server will run as; quick when it has them already."""
    if os.geteuid() != 0 or folder.stat().st_uid == owner():
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner(), owner(), follow_symlinks=False)
