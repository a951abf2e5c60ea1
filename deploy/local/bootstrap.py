"""Installs what is missing: `python3 -m deploy.local.bootstrap VERB`, on a bare Python, as any user.

Everything lands in `.venv` and `.tools`. When nothing is missing it returns at once: a stamp named by all that was
asked for says so. Two at the same time wait for each other.
"""

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.local import debs, preflight
from deploy.local.steps import ROOT, Trouble, quietly, say

TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
LOCKS = (ROOT / "requirements-dev.lock", ROOT / "deploy" / "local" / "uv.lock")
UV_FOLDER = TOOLS / LOCKS[1].read_text().split()[0]
UV = UV_FOLDER / "bin" / "uv"
PANGO = {
    "libpango-1.0.so.0": "libpango-1.0-0",
    "libpangoft2-1.0.so.0": "libpangoft2-1.0-0",
    "libharfbuzz-subset.so.0": "libharfbuzz-subset0",
}
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
DRIVER = {"libatomic.so.1": "libatomic1"}
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def main(verb: str) -> None:
    preflight.folder()
    if verb == "run":
        before_run()
    if not stamp(verb).exists():
        preflight.space(preflight.FIRST_TIME_BYTES)
        install_locked(verb)
    preflight.space(preflight.LATER_BYTES)


def before_run() -> None:
    """Says what stands in the way of a start before minutes are spent on installing."""
    lock = preflight.running_lock()
    preflight.alone(lock)
    lock.release()
    preflight.port_is_free(preflight.port())


def stamp(verb: str) -> Path:
    """The file whose presence says that all `verb` needs is installed here."""
    wanted = hashlib.sha256(f"{ROOT}\n{sys.version}\n".encode())
    for file in (*LOCKS, Path(__file__)):
        wanted.update(file.read_bytes())
    return TOOLS / f"ready-{'test' if verb == 'test' else 'run'}-{wanted.hexdigest()[:16]}"


def install_locked(verb: str) -> None:
    lock = preflight.Lock(TOOLS / "install.lock")
    if not lock.take():
        say("Another ./dev is installing; waiting for it …")
        lock.take(wait=True)
    if not stamp(verb).exists():
        install(verb)
    lock.release()


def install(verb: str) -> None:
    debs.install([*pip_packages(), *missing(PANGO), *(browser_packages() if verb == "test" else [])])
    install_uv()
    sync()
    stamp(verb).touch()
    say("Installed.")


def pip_packages() -> list[str]:
    return [] if pip_wheel() else ["python3-pip-whl"]


def browser_packages() -> list[str]:
    """A Chromium, where there is none, and what the program that drives it is linked with."""
    found = any(shutil.which(name) for name in BROWSERS)
    return [*([] if found else ["chromium-headless-shell"]), *missing(DRIVER)]


def missing(libraries: Mapping[str, str]) -> list[str]:
    """The packages of those shared libraries that this system does not have."""
    return [package for library, package in libraries.items() if not loads(library)]


def loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def pip_wheel() -> Path | None:
    """The pip that comes with Python, in one file; a Debian without python3-venv has none."""
    return next((wheel for folder in pip_folders() for wheel in sorted(folder.glob("pip-*.whl"))), None)


def pip_folders() -> Iterator[Path]:
    if spec := importlib.util.find_spec("ensurepip"):
        yield Path(str(spec.origin)).parent / "_bundled"
    yield Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or "/usr/share/python-wheels")
    yield debs.FOLDER / "usr" / "share" / "python-wheels"


def install_uv() -> None:
    """The pinned, hash-checked installer, in a folder of its own."""
    if UV.exists():
        return
    shutil.rmtree(UV_FOLDER, ignore_errors=True)
    command = [sys.executable, f"{pip_wheel()}/pip", "install", "--quiet", "--no-input", "--retries", "2"]
    command += ["--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
    command += ["--target", str(UV_FOLDER), "-r", str(LOCKS[1])]
    quietly("Fetching the package installer", command, env=certificates())


def sync() -> None:
    """Makes `.venv` hold exactly what the lock says."""
    env = {"UV_CACHE_DIR": str(TOOLS / "cache"), "UV_PYTHON_DOWNLOADS": "never", **certificates(), **index()}
    if not usable(VENV / "bin" / "python"):
        quietly(
            "Making a place for Python packages",
            [str(UV), "venv", "--clear", "--python", sys.executable, str(VENV)],
            env=env,
        )
    count = LOCKS[0].read_text().count("==")
    command = [
        str(UV),
        "pip",
        "sync",
        "--python",
        str(VENV / "bin" / "python"),
        "--require-hashes",
        "--compile-bytecode",
    ]
    quietly(f"Installing Python packages ({count})", [*command, str(LOCKS[0])], env=env)


def usable(python: Path) -> bool:
    """Whether that interpreter is the one we run on and lies where its scripts believe it does."""
    if not python.exists() or str(VENV).encode() not in (VENV / "bin" / "activate").read_bytes():
        return False
    done = subprocess.run([python, "-c", "import sys; print(sys.version)"], check=False, capture_output=True, text=True)
    return done.stdout.strip() == sys.version


def certificates() -> dict[str, str]:
    """Trust what this system trusts, where it says so; otherwise pip and uv trust what they bring."""
    if "SSL_CERT_FILE" in os.environ or not SYSTEM_CERTIFICATES.exists():
        return {}
    return {"SSL_CERT_FILE": str(SYSTEM_CERTIFICATES), "PIP_CERT": str(SYSTEM_CERTIFICATES)}


def index() -> dict[str, str]:
    """uv does not read pip's settings; who has set an index for pip means it for all."""
    chosen = os.environ.get("PIP_INDEX_URL")
    return {"UV_DEFAULT_INDEX": chosen} if chosen and "UV_DEFAULT_INDEX" not in os.environ else {}


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Trouble as trouble:
        sys.exit(str(trouble))
    except KeyboardInterrupt:
        sys.exit("Stopped.")
