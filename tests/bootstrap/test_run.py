"""`./dev run` with the real portal: it starts from an empty folder, mends what dies, stops in order, and says so."""

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local import leftovers
from deploy.local.preflight import Lock
from deploy.local.services import free_port
from portal.kit.settings import ROOT

PATIENCE_SECONDS = 90


class Running:
    """One `./dev run` of a folder, and what it says."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.said = folder / "said.txt"
        words = {"PORTAL_VAR": str(folder), "PORT": str(port), "PORTAL_DEMO": "false"}
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")} | words
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        with self.said.open("wb") as said:
            return subprocess.Popen(command(), cwd=ROOT, env=self.environment, stdout=said, stderr=said)

    def again(self) -> "Running":
        self.process = self.start()
        return self

    def healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def says(self, pattern: str) -> bool:
        return re.search(pattern, self.said.read_text()) is not None

    def wait(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not happened():
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.05)

    def wait_until_ready(self) -> None:
        self.wait(lambda: self.says("The portal answers at"))

    def children(self) -> list[tuple[int, str]]:
        return [(pid, mark) for pid, mark in Lock(self.folder / "run.lock").note()["children"]]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE_SECONDS)


def command() -> list[str]:
    return [sys.executable, "-m", "deploy.local.run"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("var"), free_port())
    running.wait_until_ready()
    yield running
    running.stop()


def kill_part(running: Running, name: str) -> None:
    """kill -9 of the part whose command line has `name` in it."""
    pids = [pid for pid, _ in running.children() if name in Path(f"/proc/{pid}/cmdline").read_text()]
    assert len(pids) == 1
    os.kill(pids[0], signal.SIGKILL)


def test_it_answers_at_the_address_that_it_prints(running: Running) -> None:
    assert running.says(f"The portal answers at  http://127.0.0.1:{running.port}\n")
    assert running.healthy()


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("\0serve", "The web server"),
        ("bin/postgres\0", "PostgreSQL"),
        ("redis.sock", "Redis"),
        ("\0worker", "The worker"),
        ("\0relay", "The relay"),
        ("catcher", "The mail catcher"),
    ],
)
def test_a_part_that_is_killed_is_named_and_started_again(running: Running, part: str, name: str) -> None:
    before = running.children()
    kill_part(running, part)
    running.wait(lambda: running.says(rf"{name} stopped \(killed by signal 9\); starting it again\."))
    running.wait(lambda: len(set(running.children()) - set(before)) == 1)
    running.wait(running.healthy)


def test_a_second_one_says_that_the_first_runs_and_where(running: Running) -> None:
    done = subprocess.run(command(), cwd=ROOT, env=running.environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith(f"The portal already runs at http://127.0.0.1:{running.port}; to stop it")
    assert running.healthy()


def test_after_kill_9_of_the_launcher_nothing_stays_and_the_next_start_works(running: Running) -> None:
    orphans = running.children()
    running.process.kill()
    running.process.wait()
    running.again().wait_until_ready()
    assert [pid for pid, mark in orphans if leftovers.identity(pid) == mark] == []
    assert running.healthy()


def test_ctrl_c_stops_everything_and_says_so(running: Running) -> None:
    children = running.children()
    assert running.stop() == 0
    assert running.says("Stopped; everything is kept in")
    assert [pid for pid, mark in children if leftovers.identity(pid) == mark] == []
    running.again().wait_until_ready()
