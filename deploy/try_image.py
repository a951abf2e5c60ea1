"""Build the production image and try it: non-root, behind the very nginx.conf with TLS, until /health answers 200.

Needs root on a Debian or Ubuntu; installs buildah, podman, nginx and debootstrap if they are missing. There need be no
container engine and no image registry: the base is a minimal Debian made here, which trusts whom this machine trusts.
Ports 80, 443 and 8000 must be free.  Run: python -m deploy.try_image
"""

import contextlib
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from deploy.local.child import Child
from deploy.local.services import TestServices

ROOT = Path(__file__).resolve().parents[1]
BASE = "localhost/portal-base"
IMAGE = "localhost/flight-portal:try"
STORE = ("--storage-driver", "vfs")
LIMITS = ("--ulimit", "nofile=1000:1000", "--ulimit", "nproc=1000:1000")
PROGRAMS = ("buildah", "podman", "runc", "nginx", "debootstrap", "openssl")
SECRET = "only-for-this-trial-0123456789-abcdefghij"  # noqa: S105 – the trial's portal is gone after it


def main() -> int:
    """Try the image; returns 0 when every step worked, and says which one did not."""
    install_missing()
    if not base_exists():
        make_base()
    say("Building the image …")
    run(
        "buildah",
        *STORE,
        "bud",
        "--isolation",
        "chroot",
        "--network",
        "host",
        "--build-arg",
        f"BASE={BASE}",
        "-t",
        IMAGE,
        ".",
    )
    with tempfile.TemporaryDirectory(prefix="portal-image-") as name, TestServices() as services:
        portal(services, "config", "check")
        portal(services, "migrate")
        with serving(services, Path(name)), nginx(Path(name)):
            check()
    say("The image works.")
    return 0


def install_missing() -> None:
    """Install what is missing through the system's packages."""
    missing = [name for name in PROGRAMS if not shutil.which(name) and not Path("/usr/sbin", name).exists()]
    if missing:
        say(f"Installing {', '.join(missing)} …")
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing)


def base_exists() -> bool:
    """Tell whether an earlier trial left the base image."""
    return subprocess.run(["buildah", *STORE, "inspect", "--type", "image", BASE], capture_output=True).returncode == 0


def make_base() -> None:
    """Make a minimal Debian into an image; it gets this machine's certificates and package settings, nothing else."""
    say("Making a minimal Debian to build on …")
    with tempfile.TemporaryDirectory(prefix="portal-base-") as name:
        folder = Path(name, "root")
        run("debootstrap", "--variant=minbase", "bookworm", str(folder))
        for path in (
            "/usr/local/share/ca-certificates",
            "/etc/apt/apt.conf.d",
            "/etc/apt/sources.list.d",
            "/etc/pip.conf",
        ):
            copy_over(Path(path), folder / path.lstrip("/"))
        made = run("buildah", *STORE, "from", "scratch").strip()
        run("buildah", *STORE, "copy", "-q", made, str(folder), "/")
        run("buildah", *STORE, "commit", "-q", made, BASE)
        run("buildah", *STORE, "rm", made)


def copy_over(source: Path, target: Path) -> None:
    """Copy a file or folder, if it is there."""
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.exists():
        shutil.copy(source, target)


def environment(services: TestServices) -> dict[str, str]:
    """Return a production configuration on throw-away services."""
    return {
        "PORTAL_ENV": "production",
        "PORTAL_BASE_URL": "https://localhost",
        "PORTAL_ALLOWED_HOSTS": "localhost",
        "PORTAL_DATABASE_URL": "postgresql://portal@/portal?host=/run/postgresql",
        "PORTAL_REDIS_URL": services.redis.url,
        "PORTAL_SECRET_KEY": SECRET,
        "PORTAL_JWT_SECRET_KEY": SECRET[::-1],
        "PORTAL_REQUIRE_HTTPS": "true",
        "PORTAL_ENABLE_HSTS": "true",
    }


def podman(services: TestServices, *words: str) -> list[str]:
    """Return the command that runs the image as compose.prod.yml does: read-only, no capabilities, not root."""
    settings = [part for name, value in environment(services).items() for part in ("--env", f"{name}={value}")]
    engine = ["podman", *STORE, "--runtime", "/usr/sbin/runc", "--cgroup-manager", "cgroupfs"]
    sockets = Path(parse_qs(urlsplit(services.postgres.url).query)["host"][0])
    sockets.chmod(0o755)
    door = ["--volume", f"{sockets}:/run/postgresql"]
    tight = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges"]  # noqa: S108 – inside the container
    return [*engine, "run", "--rm", "--network", "host", *LIMITS, *tight, *door, *settings, IMAGE, *words]


def portal(services: TestServices, *words: str) -> None:
    """Run one `portal` command in the image."""
    say(f"portal {' '.join(words)}: {run(*podman(services, *words)).strip().splitlines()[-1]}")


@contextlib.contextmanager
def serving(services: TestServices, folder: Path) -> Iterator[None]:
    """Run the image's web process within the block."""
    child = Child("The image", podman(services), folder / "image.log", cwd=ROOT)
    with child:
        child.wait_ready(lambda: answers("http://localhost:8000/health/live"), seconds=90)
        if "1000" not in run("ps", "-o", "uid=", "-C", "python"):
            raise SystemExit("The image does not run as user 1000.")
        yield


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[None]:
    """Run nginx with deploy/nginx.conf as it is, where `web` is this machine and the certificate is our own."""
    tls, hosts = folder / "tls", folder / "hosts"
    tls.mkdir()
    request = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost")
    run(
        *request,
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        str(tls / "key.pem"),
        "-out",
        str(tls / "cert.pem"),
    )
    hosts.write_text(Path("/etc/hosts").read_text() + "\n127.0.0.1 web localhost\n")
    Path("/etc/nginx/tls").mkdir(exist_ok=True)
    mounts = f"mount --bind {hosts} /etc/hosts && mount --bind {tls} /etc/nginx/tls"
    script = f"{mounts} && nginx -t -c $0 && exec nginx -c $0 -g 'daemon off;'"
    command = ["unshare", "--mount", "sh", "-c", script, str(ROOT / "deploy" / "nginx.conf")]
    child = Child("nginx", command, folder / "nginx.log")
    context = ssl.create_default_context(cafile=str(tls / "cert.pem"))
    urllib.request.install_opener(urllib.request.build_opener(urllib.request.HTTPSHandler(context=context)))
    with child:
        child.wait_ready(lambda: answers("https://localhost/health/live"), seconds=20)
        yield


def check() -> None:
    """Look at it as the guide says."""
    for path in ("/health", "/api/health", "/api/health/database", "/api/health/redis", "/", "/static/css/site.css"):
        with urllib.request.urlopen(f"https://localhost{path}", timeout=10) as answer:
            say(f"{answer.status} https://localhost{path}")
            if path == "/" and "max-age" not in (answer.headers["Strict-Transport-Security"] or ""):
                raise SystemExit("HSTS is missing.")


def answers(address: str) -> bool:
    """Tell whether a GET comes back with 200."""
    try:
        with urllib.request.urlopen(address, timeout=3) as answer:  # noqa: S310 – our own addresses
            return bool(answer.status == 200)
    except OSError:
        time.sleep(0.2)
        return False


def run(*command: str) -> str:
    """Run a program to its end; stops the trial with its last words when it fails."""
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} … failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def say(words: str | Sequence[str]) -> None:
    """Print a line at once."""
    print(words, flush=True)


if __name__ == "__main__":
    sys.exit(main())
