"""Debian packages without root: fetched and checked by apt, unpacked into `.tools/debs`, never installed.

`.tools/env` tells the shell where the libraries, programs and fonts lie. Standard library only.
"""

import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from deploy.local.steps import ROOT, Trouble, quietly

TOOLS = ROOT / ".tools"
FOLDER = TOOLS / "debs"
SCRATCH = TOOLS / "apt"
PURPOSE = {
    "python3-pip-whl": "pip",
    "libpango-1.0-0": "Pango for PDF files",
    "libatomic1": "a library of Playwright",
    "chromium-headless-shell": "Chromium for tests",
}
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig><dir>{fonts}</dir><dir>/usr/share/fonts</dir><cachedir>{cache}</cachedir></fontconfig>
"""


def install(packages: Sequence[str]) -> None:
    """Makes the packages, and what they need and this system lacks, usable from this folder."""
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise Trouble(
            f"Please install these with your system's package manager, then start again: {' '.join(packages)}"
        )
    for folder in ("lists/partial", "cache/archives/partial"):
        (SCRATCH / folder).mkdir(parents=True, exist_ok=True)
    what = ", ".join(PURPOSE[name] for name in packages if name in PURPOSE)
    quietly("Reading the list of system packages", [*apt(), "update", "--error-on=any"])
    quietly(f"Fetching system packages ({what})", [*apt(), "install", "--download-only", *packages])
    quietly(
        "Unpacking them",
        ["sh", "-ec", 'for deb in "$0"/*.deb; do dpkg-deb -x "$deb" "$1"; done', archives(), str(FOLDER)],
    )
    write_environment()
    shutil.rmtree(SCRATCH)


def apt() -> list[str]:
    """apt-get with lists and cache of our own, so that it needs no rights and leaves no trace."""
    options = {
        "Dir::State::Lists": SCRATCH / "lists",
        "Dir::Cache": SCRATCH / "cache",
        "Debug::NoLocking": "1",
        "APT::Sandbox::User": "root",
        "APT::Get::AllowUnauthenticated": "false",
        "Acquire::Retries": "2",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["apt-get", "-qq", "-y", "--no-install-recommends", *words]


def archives() -> str:
    return str(SCRATCH / "cache" / "archives")


def write_environment() -> None:
    """What the shell has to know to use what was unpacked."""
    lines = [
        f'export LD_LIBRARY_PATH={shlex.quote(":".join(library_folders()))}"${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"'
    ]
    lines += [f'export PATH={shlex.quote(str(link_programs()))}:"$PATH"']
    if not Path("/etc/fonts/fonts.conf").exists():
        lines += [f"export FONTCONFIG_FILE={shlex.quote(str(write_fonts()))}"]
    (TOOLS / "env").write_text("\n".join(lines) + "\n")


def library_folders() -> list[str]:
    """Every folder with shared libraries below the two places where Debian keeps them."""
    return sorted({str(library.parent) for place in ("lib", "usr/lib") for library in libraries(FOLDER / place)})


def libraries(place: Path) -> Iterator[Path]:
    for pattern in ("*-linux-gnu*/lib*.so*", "*-linux-gnu*/*/lib*.so*"):
        yield from place.glob(pattern)


def link_programs() -> Path:
    """A folder for PATH; Debian's own starters name absolute paths and would not find their programs."""
    folder = TOOLS / "bin"
    folder.mkdir(exist_ok=True)
    program = FOLDER / "usr" / "lib" / "chromium" / "chromium-headless-shell"
    if program.exists():
        (folder / program.name).unlink(missing_ok=True)
        (folder / program.name).symlink_to(program)
    return folder


def write_fonts() -> Path:
    file = TOOLS / "fonts.conf"
    file.write_text(FONTS.format(fonts=FOLDER / "usr" / "share" / "fonts", cache=TOOLS / "fontcache"))
    return file
