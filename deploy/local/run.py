"""`./dev run`: everything the portal needs, from nothing to an address that answers, until Ctrl-C.

PostgreSQL, Redis and a mail catcher where none is configured; migrations; the demo airline, once; web, worker, relay.
What dies is started again. Ctrl-C and TERM stop all in order; when this process itself is killed, its children stop,
and the next start clears away what may be left. Data stays in `var/`, or where PORTAL_VAR says.
"""

import argparse
import http.client
import os
import sys
import time
from collections.abc import Sequence

from deploy.local import leftovers, preflight
from deploy.local.child import Child, StartFailed
from deploy.local.environment import LOGS, Development
from deploy.local.preflight import Lock
from deploy.local.steps import HEARTBEAT_SECONDS, ROOT, VAR, Trouble, say, shown
from deploy.local.supervisor import Part, Stop, stop_together, supervise

HEALTH_SECONDS = 60
ANSWERS = "\nThe portal answers at  {address}\n"
ACCOUNTS = """\
  traveller@example.com    books and travels
  staff@example.com        the back office: {address}/admin
  admin@example.com        the same, with every right
  password of all three:   Fly-the-demo-1

Mail is kept, not sent: {address}/dev/mail
"""
ENDING = """\
Logs are in {logs}, data in {var}. Ctrl-C stops everything and loses nothing.
"""


class Launcher:
    """The whole of it, from the first service to the last stop."""

    def __init__(self, lock: Lock, port: int, host: str) -> None:
        self._lock = lock
        self._stop = Stop()
        self._port = port
        self._development = Development(port)
        self._parts: list[Part] = []
        serve = ["serve", "--host", host, "--port", str(port), "--workers", "2"]
        self._web = self._portal("the web server", "web", serve)
        self._jobs = [self._portal("the worker", "worker", ["worker"]), self._portal("the relay", "relay", ["relay"])]

    @property
    def _address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def run(self) -> None:
        """Returns after an orderly stop. Raises StartFailed, with everything stopped, when the start fails."""
        try:
            self._start()
            if not self._stop:
                self._announce()
            supervise(self._parts, self._stop, self._note)
        finally:
            self._stop_all()

    def _start(self) -> None:
        self._note()
        for service in self._development.services:
            say(f"Starting {service.child.name} …")
            self._keep(Part(service.child, service.start))
        self._once("Bringing the database up to date", "migrate")
        self._keep(Part(self._web, self._web.start))
        self._wait_for_health()
        for child in self._jobs:
            self._keep(Part(child, child.start))
        if self._development.demo:
            self._once("Loading the demo airline", "demo")

    def _announce(self) -> None:
        text = ANSWERS + (ACCOUNTS if self._development.demo else "") + ENDING
        say(text.format(address=self._address, logs=shown(LOGS), var=shown(VAR)))

    def _keep(self, part: Part) -> None:
        if not self._stop:
            part.start()
            self._parts.append(part)
            self._note()

    def _once(self, title: str, verb: str) -> None:
        """Runs one `portal` command to its end and shows what it says."""
        if self._stop:
            return
        say(f"{title} …")
        child = self._portal(f"portal {verb}", verb, [verb])
        child.log.unlink(missing_ok=True)
        with child:
            self._follow(child)
        if child.exit_code and not self._stop:
            raise StartFailed(f"{title} failed.\n{child.tail()}")

    def _follow(self, child: Child) -> None:
        began = said = time.monotonic()
        with child.log.open(errors="replace") as log:
            while child.running and not self._stop:
                self._stop.pause(0.1)
                for line in log:
                    say(f"  {line.rstrip()}")
                    said = time.monotonic()
                if time.monotonic() - said > HEARTBEAT_SECONDS:
                    said = time.monotonic()
                    say(f"  still at it after {said - began:.0f} s")

    def _wait_for_health(self) -> None:
        deadline = time.monotonic() + HEALTH_SECONDS
        while not self._stop and not answers(self._port, "/health"):
            if not self._web.running:
                raise StartFailed(f"The web server stopped ({self._web.ending}).\n{self._web.tail()}")
            if time.monotonic() > deadline:
                raise StartFailed(f"{self._address}/health did not answer in {HEALTH_SECONDS} s.\n{self._web.tail()}")
            self._stop.pause(0.05)

    def _portal(self, name: str, log: str, words: Sequence[str]) -> Child:
        command = [sys.executable, "-m", "portal.cli", *words]
        return Child(name, command, LOGS / f"{log}.log", env=self._development.environment, cwd=ROOT)

    def _note(self) -> None:
        """Writes down who runs, for a second `./dev run` and for a start after a kill."""
        children = leftovers.known(part.child.pid for part in self._parts if part.child.running)
        self._lock.write(pid=os.getpid(), address=self._address, children=children)

    def _stop_all(self) -> None:
        say("\nStopping …")
        stop_together([self._web, *self._jobs], self._stop)
        stop_together([service.child for service in self._development.services], self._stop)
        self._lock.write()
        say(f"Stopped; everything is kept in {shown(VAR)}.")


def answers(port: int, path: str) -> bool:
    """Whether a GET on this machine comes back with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="./dev run", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="where the web server listens; the default is this machine only"
    )
    options = parser.parse_args()
    lock = preflight.running_lock()
    preflight.alone(lock)
    port = preflight.port()
    preflight.port_is_free(port)
    Launcher(lock, port, options.host).run()


if __name__ == "__main__":
    try:
        main()
    except (Trouble, StartFailed) as failure:
        sys.exit(str(failure))
